"""Hold a MiniLM module's embeddings against PyTorch's in f32.

    check-embeddings.py MODULE COSINE [quern run options]

The mean cosine over the texts of minilm-reference.json must be at least COSINE.
"""
import json
import math
import os
import subprocess
import sys


def cosine(x, y):
    return sum(a * b for a, b in zip(x, y)) / math.hypot(*x) / math.hypot(*y)


def main():
    module, least = sys.argv[1], float(sys.argv[2])
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "minilm-reference.json"),
              encoding="utf-8") as f:
        reference = json.load(f)
    records = "".join(json.dumps({"id": i, "text": r["text"]}) + "\n"
                      for i, r in enumerate(reference))
    done = subprocess.run(["quern", "run", module, "--input", "-"]
                          + sys.argv[3:], input=records, check=True,
                          stdout=subprocess.PIPE, text=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(reference):
        sys.exit(f"FAILED: {len(answers)} answers to {len(reference)} texts")
    found = [cosine(a["embedding"], r["embedding"])
             for a, r in zip(answers, reference)]
    mean = sum(found) / len(found)
    print(f"cosine {mean:.6f} on average, {min(found):.6f} at least")
    if not mean >= least:
        sys.exit(f"FAILED: cosine {mean:.6f}, at least {least} is expected")


if __name__ == "__main__":
    main()
