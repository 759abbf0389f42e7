#!/usr/bin/env python3
"""Print the logits of a small DistilBERT or ELECTRA in double precision, by the
formulas of Hugging Face's modeling_distilbert.py and modeling_electra.py, as
test/tools/quern/families.test has them.

    tools/dev/text-reference.py FOLDER ID...

FOLDER is one that `quern-make-model FOLDER --family FAMILY` wrote (weights in
f32, a head for sequences), the IDs are those of `quern tokenize FOLDER TEXT`.
Needs numpy, which Quern itself does not.
"""
import json
import math
import os
import struct
import sys

import numpy as np

# Stems of tensors: projections, their output, its norm, the FFN and its norm.
LAYER_NAMES = {
    "distilbert": ("transformer.layer", "attention.q_lin", "attention.k_lin",
                   "attention.v_lin", "attention.out_lin", "sa_layer_norm",
                   "ffn.lin1", "ffn.lin2", "output_layer_norm"),
    "electra": ("encoder.layer", "attention.self.query", "attention.self.key",
                "attention.self.value", "attention.output.dense",
                "attention.output.LayerNorm", "intermediate.dense",
                "output.dense", "output.LayerNorm"),
}
HEAD_NAMES = {
    "distilbert": ("pre_classifier", "classifier"),
    "electra": ("classifier.dense", "classifier.out_proj"),
}


def read_tensors(path):
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    body = data[8 + size:]
    return {
        name: np.frombuffer(body[slice(*about["data_offsets"])], "<f4")
              .reshape(about["shape"]).astype(np.float64)
        for name, about in json.loads(data[8:8 + size]).items()
        if about.get("dtype") == "F32"
    }


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


class Model:
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json")) as f:
            config = json.load(f)
        self.tensors = read_tensors(os.path.join(folder, "model.safetensors"))
        self.family = config["model_type"]
        self.heads = config.get("n_heads") or config["num_attention_heads"]
        self.layers = config.get("n_layers") or config["num_hidden_layers"]

    def linear(self, x, name):
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def attention(self, q, k, v):
        width = q.shape[1] // self.heads
        out = np.zeros_like(q)
        for head in range(self.heads):
            s = slice(head * width, (head + 1) * width)
            scores = q[:, s] @ k[:, s].T / math.sqrt(width)
            p = np.exp(scores - scores.max(-1, keepdims=True))
            out[:, s] = p / p.sum(-1, keepdims=True) @ v[:, s]
        return out

    def logits(self, ids):
        embeddings = self.family + ".embeddings."
        x = self.tensors[embeddings + "word_embeddings.weight"][ids]
        x = x + self.tensors[embeddings + "position_embeddings.weight"][:len(ids)]
        types = self.tensors.get(embeddings + "token_type_embeddings.weight")
        if types is not None:
            x = x + types[0]
        x = self.norm(x, embeddings + "LayerNorm")
        stem, *names = LAYER_NAMES[self.family]
        for layer in range(self.layers):
            q, k, v, out, first, up, down, second = (
                f"{self.family}.{stem}.{layer}.{name}" for name in names)
            context = self.attention(*(self.linear(x, n) for n in (q, k, v)))
            x = self.norm(self.linear(context, out) + x, first)
            hidden = gelu(self.linear(x, up))
            x = self.norm(self.linear(hidden, down) + x, second)
        dense, output = HEAD_NAMES[self.family]
        act = gelu if self.family == "electra" else lambda v: np.maximum(v, 0)
        return self.linear(act(self.linear(x[0], dense)), output)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    print(Model(sys.argv[1]).logits([int(each) for each in sys.argv[2:]]))


if __name__ == "__main__":
    main()
