"""Time one peer on one shape: a process of its own, pinned by its parent.

    peer_worker.py SETTING FOLDER BATCH LENGTH THREADS SECONDS

SETTING is openvino:FILE[+bf16][+static] or onnxruntime:FILE. Prints one JSON
line with median_ms, min_ms and runs.
"""
import json
import os
import statistics
import sys
import time

import numpy as np


def prepare_openvino(setting, folder, inputs, threads):
    import openvino as ov
    name, *options = setting.split("+")
    core = ov.Core()
    model = core.read_model(os.path.join(folder, name + ".xml"))
    if "static" in options:
        model.reshape({k: v.shape for k, v in inputs.items()})
    precision = "bf16" if "bf16" in options else "f32"
    compiled = core.compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"})
    request = compiled.create_infer_request()
    return lambda: request.infer(inputs, share_inputs=True,
                                 share_outputs=True)


def prepare_onnxruntime(setting, folder, inputs, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = ort.InferenceSession(os.path.join(folder, setting + ".onnx"),
                                   options,
                                   providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def main():
    setting, folder = sys.argv[1:3]
    batch, length, threads = map(int, sys.argv[3:6])
    seconds = float(sys.argv[6])
    ids = np.random.default_rng(length).integers(1000, 30000, (batch, length))
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids),
              "token_type_ids": np.zeros_like(ids)}
    peer, file = setting.split(":")
    run = {"openvino": prepare_openvino,
           "onnxruntime": prepare_onnxruntime}[peer](file, folder, inputs,
                                                     threads)
    start = time.perf_counter()
    warm = 0
    while warm < 3 or time.perf_counter() - start < 0.5:
        run()
        warm += 1
    times, start = [], time.perf_counter()
    while len(times) < 10 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e3)
    print(json.dumps({"median_ms": statistics.median(times),
                      "min_ms": min(times), "runs": len(times)}))


if __name__ == "__main__":
    main()
