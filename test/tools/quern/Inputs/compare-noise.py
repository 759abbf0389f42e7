#!/usr/bin/env python3
"""compare-noise.py BETTER.json WORSE.json KEY: every site of a key has less
noise in the first report of `quern inspect --accuracy --json`."""
import json
import sys

better, worse = ({s["name"]: s["sqnr_db"] for s in json.load(open(path))["sites"]
                  if s["key"] == sys.argv[3]} for path in sys.argv[1:3])
assert better and better.keys() == worse.keys(), (better, worse)
for name in better:
    assert better[name] > worse[name], f"{name}: {better[name]} dB against {worse[name]} dB"
