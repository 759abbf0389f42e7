"""Checks what `quern eval --simulate --json` wrote: check-simulation.py FILE"""
import json
import math
import sys

with open(sys.argv[1]) as f:
    result = json.load(f)
rows = result["rows"]
module = result["metrics"]["accuracy"]
simulation = result["simulation_metrics"]["accuracy"]
error = math.sqrt(simulation * (1 - simulation) / rows)
agreements = [result[key]["same_prediction"] for key in
              ("against_reference", "simulation_against_reference")]
print(f"accuracy {module:.3f}, simulated {simulation:.3f} +- {error:.3f}; "
      f"agreement with f32 {agreements[0]:.3f}, simulated {agreements[1]:.3f}")
assert abs(module - simulation) <= error
assert min(agreements) >= 0.9
assert abs(agreements[0] - agreements[1]) * rows <= 0.02 * rows + 1e-9
