"""Write a BERT of a Hugging Face folder as the ONNX graph the peers read.

The graph has the form that PyTorch's exporter gives (MatMul and Add apart,
GELU by Erf), because the peers' fusion patterns look for that form. Outputs:
`last_hidden_state`, and `result`, which is what a module of the same folder
gives for a sequence: HEAD says what of the hidden state that is.

    mean, mean-unit, cls, cls-unit   mean or first token, perhaps of length one
    pooler                           first token through the pooler
    logits                           the same through the classifier
"""
import json
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

HEADS = ("mean", "mean-unit", "cls", "cls-unit", "pooler", "logits")


def load(folder):
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    tensors = load_file(os.path.join(folder, "model.safetensors"))
    return config, {k[5:] if k.startswith("bert.") else k: v
                    for k, v in tensors.items()}


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], {}

    def constant(self, name, value):
        self.weights.setdefault(name, np.asarray(value))
        return name

    def op(self, kind, *inputs, **attributes):
        out = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out],
                                           name=out, **attributes))
        return out


def export(config, tensors, path, head):
    g = Graph()
    hidden, heads = config["hidden_size"], config["num_attention_heads"]

    def integers(name, *values):
        return g.constant(name, np.array(values, np.int64))

    def scalar(name, value):
        return g.constant(name, np.float32(value))

    def linear(x, name):
        weight = np.ascontiguousarray(tensors[name + ".weight"].T)
        y = g.op("MatMul", x, g.constant(name + ".weight", weight))
        return g.op("Add", g.constant(name + ".bias",
                                      tensors[name + ".bias"]), y)

    def norm(x, name):
        return g.op("LayerNormalization", x,
                    g.constant(name + ".weight", tensors[name + ".weight"]),
                    g.constant(name + ".bias", tensors[name + ".bias"]),
                    axis=-1, epsilon=config.get("layer_norm_eps", 1e-12))

    def split(x, order):
        shape = integers("split", 0, 0, heads, hidden // heads)
        return g.op("Transpose", g.op("Reshape", x, shape), perm=order)

    e = "embeddings."
    length = g.op("Unsqueeze", g.op("Gather", g.op("Shape", "input_ids"),
                                    g.constant("one", np.int64(1))),
                  integers("axis0", 0))
    count = tensors[e + "position_embeddings.weight"].shape[0]
    positions = g.op("Slice",
                     g.constant("positions", np.arange(count)[None]),
                     integers("zero1", 0), length, integers("axis1", 1))
    x = None
    for table, index in (("word", "input_ids"), ("token_type",
                                                 "token_type_ids"),
                         ("position", positions)):
        name = f"{e}{table}_embeddings.weight"
        rows = g.op("Gather", g.constant(name, tensors[name]), index)
        x = rows if x is None else g.op("Add", x, rows)
    x = norm(x, e + "LayerNorm")
    mask = g.op("Cast", g.op("Unsqueeze", "attention_mask",
                             integers("axes12", 1, 2)), to=TensorProto.FLOAT)
    mask = g.op("Mul", g.op("Sub", scalar("onef", 1), mask),
                scalar("lowest", -10000))
    for layer in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{layer}."
        q = split(linear(x, p + "attention.self.query"), [0, 2, 1, 3])
        k = split(linear(x, p + "attention.self.key"), [0, 2, 3, 1])
        v = split(linear(x, p + "attention.self.value"), [0, 2, 1, 3])
        scores = g.op("Div", g.op("MatMul", q, k),
                      scalar("root", np.sqrt(hidden // heads)))
        prob = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
        context = g.op("Transpose", g.op("MatMul", prob, v),
                       perm=[0, 2, 1, 3])
        context = g.op("Reshape", context, integers("join", 0, 0, hidden))
        x = norm(g.op("Add", linear(context, p + "attention.output.dense"), x),
                 p + "attention.output.LayerNorm")
        h = linear(x, p + "intermediate.dense")
        erf = g.op("Erf", g.op("Div", h, scalar("root2", np.sqrt(2))))
        h = g.op("Mul", g.op("Mul", h, g.op("Add", erf, scalar("onef", 1))),
                 scalar("half", 0.5))
        x = norm(g.op("Add", linear(h, p + "output.dense"), x),
                 p + "output.LayerNorm")
    g.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
    if head.startswith("mean"):
        weight = g.op("Cast", g.op("Unsqueeze", "attention_mask",
                                   integers("axis2", 2)),
                      to=TensorProto.FLOAT)
        axis = integers("axis1", 1)
        total = g.op("ReduceSum", g.op("Mul", x, weight), axis, keepdims=0)
        y = g.op("Div", total, g.op("ReduceSum", weight, axis, keepdims=0))
    else:
        y = g.op("Gather", x, g.constant("zero", np.int64(0)), axis=1)
    if head.endswith("-unit"):
        y = g.op("Div", y, g.op("ReduceL2", y, axes=[-1], keepdims=1))
    if head in ("pooler", "logits"):
        y = g.op("Tanh", linear(y, "pooler.dense"))
    if head == "logits":
        y = linear(y, "classifier")
    g.nodes.append(helper.make_node("Identity", [y], ["result"]))
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64,
                                            ["batch", "length"])
              for n in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [helper.make_tensor_value_info(
        "last_hidden_state", TensorProto.FLOAT, ["batch", "length", hidden]),
        helper.make_tensor_value_info("result", TensorProto.FLOAT,
                                      ["batch", "columns"])]
    graph = helper.make_graph(
        g.nodes, "encoder", inputs, outputs,
        [numpy_helper.from_array(v, n) for n, v in g.weights.items()])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9,
        producer_name="pytorch")
    onnx.checker.check_model(model)
    onnx.save(model, path)
