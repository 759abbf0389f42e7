"""check-size.py MODULE.json FILE...: what `quern inspect --json` says of a
module with groups and 4-bit weights: which constants it makes, and how few
bytes beside those of its weights.

Prints a line for each making, and last the bits a weight takes, with all that
the weights section holds.
"""
import json
import sys

with open(sys.argv[1]) as f:
    module = json.load(f)
constants = {c["name"]: c for c in module["constants"]}
makings = {}
for constant in constants.values():
    if constant["making"] == "Stored":
        assert constant["stored"] == constant["bytes"], constant
        continue
    assert constant["stored"] == 0, constant
    for part in constant["from"]:
        made_of = constants[part]["making"]
        assert made_of == "Stored" or (
            made_of == "Coded" and constant["making"] == "Sums"), constant
    kind = constant["name"].rsplit(".", 1)[-1]
    makings.setdefault((kind, constant["making"]), []).append(constant)
for (kind, making), found in sorted(makings.items()):
    print(f"{kind} {making} {len(found)}")
weights = [w for w in module["weights"] if w["bits"]]
parameters = sum(w["parameters"] for w in weights)
stored = sum(c["stored"] for c in constants.values())
sections = {s["name"]: s["bytes"] for s in module["sections"]}
assert stored <= sections["weights"] <= stored + 64 * (len(constants) + 2)
assert module["made_bytes"] == sum(c["bytes"] for c in constants.values()
                                   if c["making"] != "Stored")
print(f"bits a parameter {8 * stored / parameters:.3f}")
print(f"bytes beside the weights "
      f"{(stored - sum(w['bytes'] for w in weights)) / parameters:.4f}"
      " a parameter")
