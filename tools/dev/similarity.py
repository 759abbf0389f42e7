#!/usr/bin/env python3
"""Print the cosine of every pair of embeddings on standard input.

    quern run m.qbm "text" ... | tools/dev/similarity.py "text" ...

Reads JSON lines with "embedding", one for each text given.
"""
import itertools
import json
import math
import sys


def main():
    texts = sys.argv[1:]
    vectors = [json.loads(line)["embedding"] for line in sys.stdin]
    if len(vectors) != len(texts):
        sys.exit(f"similarity: error: {len(vectors)} embeddings for "
                 f"{len(texts)} texts")
    for (a, x), (b, y) in itertools.combinations(zip(texts, vectors), 2):
        dot = sum(p * q for p, q in zip(x, y))
        print(f"{dot / math.hypot(*x) / math.hypot(*y):6.3f}  {a} / {b}")


if __name__ == "__main__":
    main()
