#!/usr/bin/env python3
"""Print the logits that PyTorch computes for the small vision models of the
tests, as the table of test/lib/Rewrite/VisionTest.cpp has them.

    tools/dev/vision-reference.py NAME=FOLDER...

Each folder is one that `quern-make-model FOLDER --vision KIND` wrote. Needs
torch and transformers, which Quern itself does not.
"""
import json
import os
import sys

import numpy as np
import torch
import transformers


def pixels(config, image):
    """tinyPixels of test/support/TinyVision.h."""
    count = config["num_channels"] * config["image_size"] ** 2
    i = np.arange(count, dtype=np.uint64)
    values = (37 * i + np.uint64(11 + image) * i * i) % 256
    return (values.astype(np.float32) / 128 - 1).reshape(
        config["num_channels"], config["image_size"], config["image_size"])


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for argument in sys.argv[1:]:
        name, folder = argument.split("=", 1)
        with open(os.path.join(folder, "config.json")) as f:
            config = json.load(f)
        kind = getattr(transformers, config["architectures"][0])
        model, loading = kind.from_pretrained(folder, output_loading_info=True)
        odd = {key: value for key, value in loading.items() if value}
        if any("pooler" not in key for keys in odd.values() for key in keys):
            sys.exit(f"{folder}: found {odd}, expected every tensor once")
        images = torch.tensor(np.stack([pixels(config, i) for i in (1, 2)]))
        with torch.no_grad():
            out = model.eval().double()(images.double())
        if "logits" in out:
            rows = out.logits
        elif any("pooler" in key for keys in odd.values() for key in keys):
            rows = out.last_hidden_state[:, 0]
        else:
            rows = out.pooler_output
        print(name, ", ".join(f"{v:.7f}" for v in rows.flatten().tolist()))


if __name__ == "__main__":
    main()
