"""Damages a module in many places; every copy must be refused in one line.

Usage: damage.py MODULE COPY
"""
import random
import subprocess
import sys

module, copy = sys.argv[1:]
good = open(module, "rb").read()
random.seed(1)


def refused(data, what):
    with open(copy, "wb") as out:
        out.write(data)
    for command in (["inspect", copy], ["run", copy, "text"]):
        done = subprocess.run(["quern"] + command, capture_output=True,
                              timeout=20)
        lines = done.stderr.decode().splitlines()
        if done.returncode != 1 or done.stdout or len(lines) != 1 or \
                not lines[0].startswith("quern: error: " + copy):
            sys.exit(f"{what}: {command[0]}: code {done.returncode}, {lines}")


ends = [0, 1, 7, 8, 63, 64, 4095, 4096, len(good) - 1, len(good) - 8]
for end in ends + [random.randrange(len(good)) for _ in range(20)]:
    refused(good[:end], f"cut to {end} bytes")
refused(good + b"\0", "one byte more")
refused(good * 2, "twice")
# The padding between sections is all that no checksum covers: its bytes are
# zero, so damage where neither neighbour is.
places = [i for i in range(1, len(good) - 1)
          if good[i - 1] and good[i] and good[i + 1]]
for place in random.sample(places, 60) + list(range(len(good) - 160, len(good))):
    data = bytearray(good)
    data[place] ^= 1 << random.randrange(8)
    refused(data, f"byte {place}")
print("refused all")
