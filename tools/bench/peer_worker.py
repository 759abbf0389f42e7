"""Time one peer on one shape: a process of its own, pinned by its parent.

    peer_worker.py SETTING FOLDER BATCH LENGTH THREADS SECONDS

SETTING is openvino:FILE[+bf16][+static], onnxruntime:FILE or ctranslate2:TYPE;
FOLDER is what make_peers.py wrote. The ids are those of `quern bench`. Prints
one JSON line with median_ms, min_ms, runs and the first sequence's result.
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
                                 share_outputs=True)["result"]


def prepare_onnxruntime(setting, folder, inputs, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = ort.InferenceSession(os.path.join(folder, setting + ".onnx"),
                                   options,
                                   providers=["CPUExecutionProvider"])
    return lambda: session.run(["last_hidden_state", "result"], inputs)[1]


def prepare_ctranslate2(setting, folder, inputs, threads):
    import ctranslate2 as ct
    encoder = ct.Encoder(os.path.join(folder, "ct2"), device="cpu",
                         compute_type=setting, intra_threads=threads,
                         inter_threads=1)
    ids = inputs["input_ids"].astype(np.int32)
    lengths = ct.StorageView.from_array(np.full(ids.shape[0], ids.shape[1],
                                                np.int32))
    types = inputs["token_type_ids"].tolist()
    view = ct.StorageView.from_array(ids)
    return lambda: encoder.forward_batch(view, lengths, token_type_ids=types)


def finish_ctranslate2(output, folder, head):
    """The head's part that the library leaves to its caller."""
    import ctranslate2 as ct

    def array(view):
        return np.array(view.to(ct.DataType.float32))[0]

    if head in ("pooler", "logits"):
        y = array(output.pooler_output)
        if head == "pooler":
            return y
        classifier = np.load(os.path.join(folder, "classifier.npz"))
        return classifier["weight"] @ y + classifier["bias"]
    hidden = array(output.last_hidden_state)
    y = hidden.mean(0) if head.startswith("mean") else hidden[0]
    return y / np.linalg.norm(y) if head.endswith("-unit") else y


def main():
    setting, folder = sys.argv[1:3]
    batch, length, threads = map(int, sys.argv[3:6])
    seconds = float(sys.argv[6])
    with open(os.path.join(folder, "about.json")) as f:
        about = json.load(f)
    ids = np.array([[1 + (s * 131 + i * 7919) % (about["vocabulary"] - 1)
                     for i in range(length)] for s in range(batch)], np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids),
              "token_type_ids": np.zeros_like(ids)}
    peer, file = setting.split(":")
    run = globals()["prepare_" + peer](file, folder, inputs, threads)
    start = time.perf_counter()
    warm = 0
    while warm < 3 or time.perf_counter() - start < min(seconds, 0.5):
        output = run()
        warm += 1
    times, start = [], time.perf_counter()
    while len(times) < 10 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        output = run()
        times.append((time.perf_counter() - begin) * 1e3)
    result = (finish_ctranslate2(output, folder, about["head"])
              if peer == "ctranslate2" else output[0])
    print(json.dumps({"median_ms": statistics.median(times),
                      "min_ms": min(times), "runs": len(times),
                      "output": [float(v) for v in result]}))


if __name__ == "__main__":
    main()
