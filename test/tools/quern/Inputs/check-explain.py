"""Checks what `quern inspect --explain --json` says of itself."""

import json
import sys

found = json.load(open(sys.argv[1]))
steps = found["steps"]
assert steps and found["batch"] == 1 and found["length"] == 64
assert sum(step["macs"] for step in steps) == found["macs"] > 0
assert abs(sum(step["share"] for step in steps) - 1) < 1e-9
for step in steps:
    assert step["kernel"] and step["family"], step
    multiplies = step["op"] in ("linear", "attention")
    assert multiplies == (step["macs"] > 0), step
    assert multiplies or " " not in step["family"], step
    if multiplies:
        assert step["tile"] and step["layout"], step
        assert step["reasons"], step
        if step["family"] == "vpdpbusd zmm":
            assert 0 < step["predicted_share_of_peak"] < 1, step
linears = [step for step in steps if step["op"] == "linear"]
# The last layer's products are of sequences, but for keys and values.
last = max(step["layer"] for step in steps)
rows = {s["name"]: s["rows"] for s in linears if s["layer"] == last}
assert rows[f"L{last}.kv"] == "tokens", rows
others = {kind for name, kind in rows.items() if not name.endswith("kv")}
assert others == {"sequences"}, rows
