"""Time one peer on some sequences: a process of its own, pinned by its parent.

    peer_worker.py SETTING FOLDER IDS BATCH THREADS SECONDS

SETTING is openvino:FILE[+bf16][+static], onnxruntime:FILE or ctranslate2:TYPE,
and how batches of BATCH are made: padded in the order given, +sorted by length
first, or +single, one by one; FOLDER is what make_peers.py wrote; IDS a JSON
file of {"ids": [[...], ...], "type_ids": [[...], ...]}, a list a sequence.
A run goes over all of them. Prints one JSON line with median_ms, min_ms, runs
and the first sequence's result.
"""
import json
import os
import statistics
import sys
import time

import numpy as np


def make_batches(sequences, size, options):
    """Inputs of each batch, padded to its longest, and which sequences it has."""
    order = list(range(len(sequences["ids"])))
    if "sorted" in options:
        order.sort(key=lambda i: len(sequences["ids"][i]))
    if "single" in options:
        size = 1
    batches = []
    for begin in range(0, len(order), size):
        members = order[begin:begin + size]
        shape = len(members), max(len(sequences["ids"][i]) for i in members)
        arrays = {name: np.zeros(shape, np.int64) for name in
                  ("input_ids", "attention_mask", "token_type_ids")}
        for row, i in enumerate(members):
            length = len(sequences["ids"][i])
            arrays["input_ids"][row, :length] = sequences["ids"][i]
            arrays["attention_mask"][row, :length] = 1
            arrays["token_type_ids"][row, :length] = sequences["type_ids"][i]
        batches.append((arrays, members))
    return batches


# Each gives a function that runs one batch, and one that gets it ready.


def prepare_openvino(file, options, folder, batches, threads):
    import openvino as ov
    core = ov.Core()
    model = core.read_model(os.path.join(folder, file + ".xml"))
    if "static" in options:
        model.reshape({k: v.shape for k, v in batches[0][0].items()})
    precision = "bf16" if "bf16" in options else "f32"
    compiled = core.compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"})
    request = compiled.create_infer_request()
    return lambda inputs: request.infer(inputs, share_inputs=True,
                                        share_outputs=True)["result"], None


def prepare_onnxruntime(file, _, folder, __, threads):
    import onnxruntime as ort
    session_options = ort.SessionOptions()
    session_options.intra_op_num_threads = threads
    session_options.inter_op_num_threads = 1
    session_options.add_session_config_entry("session.set_denormal_as_zero",
                                             "1")
    session = ort.InferenceSession(os.path.join(folder, file + ".onnx"),
                                   session_options,
                                   providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(["last_hidden_state", "result"],
                                      inputs)[1], None


def prepare_ctranslate2(file, _, folder, __, threads):
    import ctranslate2 as ct
    encoder = ct.Encoder(os.path.join(folder, "ct2"), device="cpu",
                         compute_type=file, intra_threads=threads,
                         inter_threads=1)

    def ready(inputs):
        lengths = inputs["attention_mask"].sum(1).astype(np.int32)
        return (ct.StorageView.from_array(inputs["input_ids"].astype(np.int32)),
                ct.StorageView.from_array(lengths),
                inputs["token_type_ids"].tolist())

    def run(batch):
        ids, lengths, types = batch
        return encoder.forward_batch(ids, lengths, token_type_ids=types)
    return run, ready


def finish_ctranslate2(output, row, folder, head):
    """The head's part that the library leaves to its caller."""
    import ctranslate2 as ct

    def array(view):
        return np.array(view.to(ct.DataType.float32))[row]

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
    setting, folder, ids = sys.argv[1:4]
    size, threads = map(int, sys.argv[4:6])
    seconds = float(sys.argv[6])
    with open(os.path.join(folder, "about.json")) as f:
        about = json.load(f)
    with open(ids) as f:
        sequences = json.load(f)
    peer, setting = setting.split(":")
    file, *options = setting.split("+")
    batches = make_batches(sequences, size, options)
    run, ready = globals()["prepare_" + peer](file, options, folder, batches,
                                              threads)
    inputs = [ready(arrays) if ready else arrays for arrays, _ in batches]
    # Over a file, one pass of many batches warms up and few are enough.
    several = len(batches) > 1
    start = time.perf_counter()
    warm = 0
    while warm < (1 if several else 3) or (
            time.perf_counter() - start < min(seconds, 0.5)):
        for batch in inputs:
            run(batch)
        warm += 1
    times, start = [], time.perf_counter()
    while len(times) < (2 if several else 10) or (
            time.perf_counter() - start < seconds):
        begin = time.perf_counter()
        for batch in inputs:
            run(batch)
        times.append((time.perf_counter() - begin) * 1e3)
    where = next(i for i, (_, members) in enumerate(batches) if 0 in members)
    row, output = batches[where][1].index(0), run(inputs[where])
    result = (finish_ctranslate2(output, row, folder, about["head"])
              if peer == "ctranslate2" else output[row])
    print(json.dumps({"median_ms": statistics.median(times),
                      "min_ms": min(times), "runs": len(times),
                      "output": [float(v) for v in result]}))


if __name__ == "__main__":
    main()
