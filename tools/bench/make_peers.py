#!/usr/bin/env python3
"""Prepare the peers' models of one encoder.

    make_peers.py OUT_DIR --checkpoint DIR --head HEAD [--peers NAME...]

DIR is a Hugging Face folder of a BERT, HEAD is explained in bert_onnx.py.
Writes fp32.onnx, and by peer: OpenVINO's int8 models (NNCF, the default preset
and the symmetric one without SmoothQuant), ONNX Runtime's dynamic int8 model
with s8 weights per channel, and CTranslate2's model, which takes its type when
it is loaded. Files that are there already are kept.
"""
import argparse
import json
import os
import shutil

import numpy as np

import bert_onnx

PEERS = ("openvino", "onnxruntime", "ctranslate2")


def calibration(vocabulary, longest):
    rng = np.random.default_rng(1)
    for length in (128, 96, 64, 32):
        ids = rng.integers(1, vocabulary, (1, min(length, longest)))
        yield {"input_ids": ids, "attention_mask": np.ones_like(ids),
               "token_type_ids": np.zeros_like(ids)}


def make_openvino(folder, config, _):
    import nncf
    import openvino as ov
    source = os.path.join(folder, "fp32.onnx")
    symmetric = dict(
        preset=nncf.QuantizationPreset.PERFORMANCE,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1)))
    for name, options in (("ov-int8", {}),
                          ("ov-int8-sym-nosq", symmetric)):
        path = os.path.join(folder, name + ".xml")
        if os.path.exists(path):
            continue
        print("quantizing", path, flush=True)
        samples = list(calibration(config["vocab_size"],
                                   config["max_position_embeddings"]))
        model = nncf.quantize(ov.convert_model(source), nncf.Dataset(samples),
                              model_type=nncf.ModelType.TRANSFORMER,
                              subset_size=len(samples), **options)
        ov.save_model(model, path)
    path = os.path.join(folder, "ov-fp32.xml")
    if not os.path.exists(path):
        ov.save_model(ov.convert_model(source), path, compress_to_fp16=False)


def make_onnxruntime(folder, _, __):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    path = os.path.join(folder, "ort-dynamic-s8.onnx")
    if os.path.exists(path):
        return
    print("quantizing", path, flush=True)
    quantize_dynamic(os.path.join(folder, "fp32.onnx"), path, per_channel=True,
                     weight_type=QuantType.QInt8,
                     extra_options={"MatMulConstBOnly": True,
                                    "DefaultTensorType":
                                    onnx.TensorProto.FLOAT})


def make_ctranslate2(folder, config, tensors):
    from ctranslate2.converters import utils
    from ctranslate2.specs import common_spec, transformer_spec
    path = os.path.join(folder, "ct2")
    if os.path.exists(path):
        return
    print("converting", path, flush=True)

    def linear(spec, name):
        spec.weight = tensors[name + ".weight"]
        spec.bias = tensors[name + ".bias"]

    def norm(spec, name):
        spec.gamma = tensors[name + ".weight"]
        spec.beta = tensors[name + ".bias"]

    encoder = transformer_spec.TransformerEncoderSpec(
        config["num_hidden_layers"], config["num_attention_heads"],
        pre_norm=False, activation=common_spec.Activation.GELU,
        layernorm_embedding=True, num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD)
    has_pooler = "pooler.dense.weight" in tensors
    spec = transformer_spec.TransformerEncoderModelSpec(
        encoder, pooling_layer=has_pooler,
        pooling_activation=common_spec.Activation.Tanh)
    encoder.scale_embeddings = False
    for place, name in zip(encoder.embeddings, ("word", "token_type")):
        place.weight = tensors[f"embeddings.{name}_embeddings.weight"]
    encoder.position_encodings.encodings = tensors[
        "embeddings.position_embeddings.weight"]
    norm(encoder.layernorm_embedding, "embeddings.LayerNorm")
    if has_pooler:
        linear(spec.pooler_dense, "pooler.dense")
    for i, layer in enumerate(encoder.layer):
        p = f"encoder.layer.{i}."
        parts = [common_spec.LinearSpec() for _ in range(3)]
        for part, name in zip(parts, ("query", "key", "value")):
            linear(part, p + "attention.self." + name)
        attention = layer.self_attention
        utils.fuse_linear(attention.linear[0], parts)
        linear(attention.linear[1], p + "attention.output.dense")
        norm(attention.layer_norm, p + "attention.output.LayerNorm")
        linear(layer.ffn.linear_0, p + "intermediate.dense")
        linear(layer.ffn.linear_1, p + "output.dense")
        norm(layer.ffn.layer_norm, p + "output.LayerNorm")
    spec.register_vocabulary([str(i) for i in range(config["vocab_size"])])
    spec.config.unk_token = "0"
    spec.config.layer_norm_epsilon = config.get("layer_norm_eps", 1e-12)
    spec.validate()
    spec.optimize()
    # Whole or not at all: it is a folder.
    shutil.rmtree(path + ".part", ignore_errors=True)
    os.makedirs(path + ".part")
    spec.save(path + ".part")
    os.rename(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--head", choices=bert_onnx.HEADS, required=True)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    config, tensors = bert_onnx.load(args.checkpoint)
    source = os.path.join(args.out, "fp32.onnx")
    if not os.path.exists(source):
        bert_onnx.export(config, tensors, source, args.head)
    for peer in args.peers:
        globals()["make_" + peer](args.out, config, tensors)
    # What a worker needs to know, and the weights of heads that a peer lacks.
    np.savez(os.path.join(args.out, "classifier.npz"),
             **{k: tensors["classifier." + k] for k in ("weight", "bias")
                if args.head == "logits"})
    with open(os.path.join(args.out, "about.json"), "w") as f:
        json.dump({"head": args.head, "vocabulary": config["vocab_size"]}, f)


if __name__ == "__main__":
    main()
