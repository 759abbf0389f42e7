"""Sets the first element of an f32 tensor: FILE TENSOR VALUE."""

import json
import struct
import sys

path, name, value = sys.argv[1:]
with open(path, "r+b") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    file.seek(8 + length + header[name]["data_offsets"][0])
    file.write(struct.pack("<f", float(value)))
