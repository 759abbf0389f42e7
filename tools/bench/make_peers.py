#!/usr/bin/env python3
"""Prepare the peers' int8 models of one encoder.

    make_peers.py NAME OUT_DIR [--checkpoint DIR]

NAME is bert-base or minilm. Writes fp32.onnx, OpenVINO's int8 models (NNCF,
the default preset and the symmetric one without SmoothQuant) and ONNX
Runtime's dynamic int8 model with s8 weights per channel. Files that are there
already are kept. Without --checkpoint the weights are random.
"""
import argparse
import os

import numpy as np

import bert_onnx


def calibration():
    rng = np.random.default_rng(1)
    for length in (128, 96, 64, 32):
        ids = rng.integers(1000, 30000, (1, length))
        yield {"input_ids": ids, "attention_mask": np.ones_like(ids),
               "token_type_ids": np.zeros_like(ids)}


def make_openvino(source, folder):
    import nncf
    import openvino as ov
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
        samples = list(calibration())
        model = nncf.quantize(ov.convert_model(source), nncf.Dataset(samples),
                              model_type=nncf.ModelType.TRANSFORMER,
                              subset_size=len(samples), **options)
        ov.save_model(model, path)


def make_onnxruntime(source, folder):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    path = os.path.join(folder, "ort-dynamic-s8.onnx")
    if os.path.exists(path):
        return
    print("quantizing", path, flush=True)
    quantize_dynamic(source, path, per_channel=True,
                     weight_type=QuantType.QInt8,
                     extra_options={"MatMulConstBOnly": True,
                                    "DefaultTensorType":
                                    onnx.TensorProto.FLOAT})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=bert_onnx.SHAPES)
    parser.add_argument("out")
    parser.add_argument("--checkpoint")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    source = os.path.join(args.out, "fp32.onnx")
    if not os.path.exists(source):
        config, tensors = (bert_onnx.load(args.checkpoint) if args.checkpoint
                           else bert_onnx.random_weights(args.name))
        bert_onnx.export(config, tensors, source,
                         embedding=args.name == "minilm")
    make_openvino(source, args.out)
    make_onnxruntime(source, args.out)


if __name__ == "__main__":
    main()
