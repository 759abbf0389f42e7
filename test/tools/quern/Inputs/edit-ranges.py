"""Write a ranges.json with one value changed.

    edit-ranges.py IN OUT SITE KEY VALUE    VALUE is the text of the value
    edit-ranges.py IN OUT SITE -            SITE gets the entry of site L0.x
"""
import json
import sys

source, target, site, key = sys.argv[1:5]
with open(source) as f:
    ranges = json.load(f)
if key == "-":
    ranges["sites"][site] = ranges["sites"]["L0.x"]
else:
    ranges["sites"][site][key] = "VALUE"
text = json.dumps(ranges)
if key != "-":
    text = text.replace('"VALUE"', sys.argv[5])
with open(target, "w") as f:
    f.write(text)
