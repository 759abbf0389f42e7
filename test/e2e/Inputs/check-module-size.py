"""Checks the size of a module that `quern inspect --json` describes:
check-module-size.py MODULE.json --at-most BYTES --factor LEAST

The factor is that over the bytes of its parameters in f32, of matrices and
tables alone; the module counts with vocabulary, code and all else."""
import argparse
import json

parser = argparse.ArgumentParser()
parser.add_argument("module")
parser.add_argument("--at-most", type=float, required=True)
parser.add_argument("--factor", type=float, required=True)
args = parser.parse_args()
with open(args.module) as f:
    module = json.load(f)
sections = {s["name"]: s["bytes"] for s in module["sections"]}
size = sum(sections.values())
parameters = sum(w["parameters"] for w in module["weights"] if w["bits"])
print(f"{size} bytes ({sections}), {4 * parameters / size:.2f} times smaller "
      f"than {parameters} parameters in f32")
assert parameters > 1e8, "not BERT-base"
assert size <= args.at_most
assert 4 * parameters / size >= args.factor
