#!/usr/bin/env python3
"""Time a Quern module and its peers side by side, in turns, on one machine.

    peers.py --quern BUILD/bin/quern --module M.qbm --model DIR --work DIR
             [--peers NAME...] [--lengths N...] [--batches N...]
             [--threads N...] [--rounds N] [--seconds S] [--json]
             [--text FILE [--pair] [--max-length N] [--samples N]]

`quern bench M.qbm --peer NAME,...` calls this through peers.sh. DIR of --model
is the checkpoint that the module was made from; the peers' models are made of
it once, in --work. In every round each contender gets a fresh pinned process,
one after the other, so that a drift of the machine meets all alike. The first
round tries every setting of a peer, the others only its fastest one.

Without --text sequences are made up, all of one length. With it a run is a pass
over the texts of FILE, with the module's tokens: Quern takes them in batches as
they come; peers are tried so with padding, sorted by length before, and one by
one.

p50 is the median over the rounds of each process's median, the ratio is taken
within rounds. `waited` is the share of time that a contender's threads had no
core, `switches` how often a second they were taken off one: rows with more
than a few percent there are worth little. The cosine is that of the first
sequence's result to the f32 model's.
"""
import argparse
import hashlib
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# The best settings known, on CPUs with and without tiles and bf16.
SETTINGS = {
    "openvino": {"openvino:ov-int8-sym-nosq+bf16+static": "int8, bf16 rest",
                 "openvino:ov-int8+static": "int8",
                 "openvino:ov-fp32+bf16+static": "bf16"},
    "onnxruntime": {"onnxruntime:ort-dynamic-s8": "dynamic int8"},
    "ctranslate2": {"ctranslate2:int8": "int8",
                    "ctranslate2:int8_bfloat16": "int8, bf16 rest",
                    "ctranslate2:bfloat16": "bf16"},
}
TITLES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime",
          "ctranslate2": "CTranslate2", "quern": "Quern"}
PACKAGES = {"openvino": ("openvino", "nncf", "onnx", "onnxruntime"),
            "onnxruntime": ("onnxruntime", "onnx"),
            "ctranslate2": ("ctranslate2", "onnx", "onnxruntime")}


def check_packages(peers):
    needed = ["numpy", "safetensors"] + [p for peer in peers
                                         for p in PACKAGES[peer]]
    missing = sorted({p for p in needed if not importlib.util.find_spec(p)})
    if missing:
        sys.exit(f"peers: error: no package {', '.join(missing)} in "
                 f"{sys.prefix}; {HERE}/peers.sh --setup installs it")


def waited(pid):
    """Nanoseconds that the process's threads were ready but had no core."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[1])
    except (OSError, IndexError):
        pass
    return total


def parse(text):
    """A row from what a contender prints: one object, or a list of one."""
    starts = [i for i in (text.find("["), text.find("{")) if i >= 0]
    if not starts:
        raise ValueError("no JSON")
    row = json.loads(text[min(starts):])
    return row[0] if isinstance(row, list) else row


def run_pinned(command, threads):
    """The row a command prints as JSON, with how disturbed it was."""
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            env=dict(os.environ, OMP_NUM_THREADS=str(threads)),
            preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        begin, wait = time.monotonic(), 0
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            wait = max(wait, waited(child.pid))
            time.sleep(0.05)
        child.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.monotonic() - begin
        out.seek(0)
        err.seek(0)
        printed = out.read().decode(errors="replace")
        if child.returncode:
            tail = err.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(tail[-1] if tail
                               else f"ended with {child.returncode}")
    try:
        row = parse(printed)
    except ValueError:
        raise RuntimeError(f"no JSON printed: {printed[-200:]!r}") from None
    row["wait"] = wait * 1e-9 / elapsed / threads
    row["switches"] = usage.ru_nivcsw / elapsed
    return row


def head_of(about, folder):
    """What of the hidden state the module gives; see bert_onnx.py."""
    model = about["model"]
    if model["head"] in ("Classification", "Regression"):
        return "logits"
    unit = "-unit" if model["normalize"] else ""
    if model["head"] == "Embedding" and model["pooling"] == "Mean":
        return "mean" + unit
    if (model["head"] == "Embedding"
            and not os.path.exists(os.path.join(folder, "modules.json"))):
        return "pooler"
    return "cls" + unit


def prepare(args):
    """The folder with the peers' models, and what the module says of itself."""
    inspected = subprocess.run(
        [args.quern, "inspect", args.module, "--json"], text=True,
        stdout=subprocess.PIPE)
    if inspected.returncode:
        sys.exit(1)
    about = json.loads(inspected.stdout)
    if about["model"]["family"] != "bert":
        sys.exit(f"peers: error: {args.module}: found a model of the family "
                 f"{about['model']['family']}, expected bert")
    weights = os.path.join(args.model, "model.safetensors")
    if not os.path.exists(weights):
        sys.exit(f"peers: error: {weights}: not found; --model FOLDER names "
                 "the checkpoint that the module was made from")
    head = head_of(about, args.model)
    info = os.stat(weights)
    key = f"{os.path.realpath(weights)} {info.st_size} {info.st_mtime} {head}"
    name = os.path.basename(os.path.normpath(args.model))
    folder = os.path.join(args.work, f"{name}-"
                          + hashlib.sha256(key.encode()).hexdigest()[:8])
    made = subprocess.run(
        [sys.executable, os.path.join(HERE, "make_peers.py"), folder,
         "--checkpoint", args.model, "--head", head, "--peers", *args.peers],
        stdout=sys.stderr)
    if made.returncode:
        sys.exit(f"peers: error: the peers' models of {args.model} could not "
                 "be made")
    return folder, about["model"]


def read_texts(args, longest):
    """Ids and type ids of every text, as `quern bench` makes them."""
    command = [args.quern, "tokenize", args.module, "--input", args.text]
    command += ["--pair"] if args.pair else []
    command += ["--max-length", str(min(args.max_length or longest, longest))]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(1)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    rows = rows[:args.samples]
    if not rows:
        sys.exit(f"peers: error: {args.text}: found no text")
    return {"ids": [row["ids"] for row in rows],
            "type_ids": [row["type_ids"] for row in rows]}


def make_up(batch, length, vocabulary):
    """What `quern bench` runs of this size."""
    ids = [[1 + (s * 131 + i * 7919) % (vocabulary - 1) for i in range(length)]
           for s in range(batch)]
    return {"ids": ids, "type_ids": [[0] * length for _ in ids]}


class Sequences:
    """Files with the ids of every case."""

    def __init__(self, args, model, folder, place):
        self.place, self.made = place, {}
        self.texts = (read_texts(args, model["max_length"]) if args.text
                      else None)
        with open(os.path.join(folder, "about.json")) as f:
            self.vocabulary = json.load(f)["vocabulary"]

    def file(self, case, first=False):
        """The ids of a case, or of its first sequence alone."""
        key = case[:2] + (first,)
        if key not in self.made:
            found = self.texts or make_up(*case[:2], self.vocabulary)
            if first:
                found = {name: rows[:1] for name, rows in found.items()}
            path = os.path.join(self.place, "-".join(map(str, key)) + ".json")
            with open(path, "w") as f:
                json.dump(found, f)
            self.made[key] = path
        return self.made[key]


def settings(args, peer):
    """Settings of a peer and what they are called."""
    if not args.text:
        return SETTINGS[peer]
    # Shapes change from batch to batch.
    return {setting.replace("+static", "") + order: name + title
            for setting, name in SETTINGS[peer].items()
            for order, title in (("", ", padded"), ("+sorted", ", sorted"),
                                 ("+single", ", one by one"))}


def worker(setting, folder, ids, case, seconds):
    return [sys.executable, os.path.join(HERE, "peer_worker.py"), setting,
            folder, ids, str(case[0]), str(case[2]), str(seconds)]


def our_command(args, case, runs):
    options = {"--batches": case[0], "--threads": case[2], "--runs": runs}
    if args.text:
        options.update({"--text": args.text, "--samples": args.samples})
        if args.max_length:
            options["--max-length"] = args.max_length
    else:
        options["--lengths"] = case[1]
    return [args.quern, "bench", args.module, "--json",
            *(str(word) for option in options.items() for word in option),
            *(["--pair"] if args.pair else [])]


def cosine(a, b):
    if not a or not b or len(a) != len(b):
        return None
    norms = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b)) / norms if norms else None


def measure(args, folder, sequences):
    """rows[case][(peer, setting)]: what each process gave."""
    least = 2 if args.text else 20
    rows, reference, fastest, runs = {}, {}, {}, {}
    # Texts have lengths of their own.
    cases = [(b, l, t) for l in ([0] if args.text else args.lengths)
             for b in args.batches for t in args.threads]
    for turn in range(args.rounds):
        for case in cases:
            batch, length, threads = case
            if case[:2] not in reference:
                reference[case[:2]] = run_pinned(
                    worker("onnxruntime:fp32", folder,
                           sequences.file(case, first=True), case, 0),
                    threads)["output"]
            contenders = [(peer, setting) for peer in args.peers
                          for setting in settings(args, peer)
                          if fastest.get((case, peer), setting) == setting]
            found = rows.setdefault(case, {})
            for peer, setting in [("quern", "")] + contenders:
                command = (worker(setting, folder, sequences.file(case), case,
                                  args.seconds)
                           if peer != "quern" else
                           our_command(args, case, runs.get(case, least)))
                what = f"{length} tokens" if length else "texts"
                where = (f"round {turn + 1}: {batch} x {what}, "
                         f"{threads} threads: {TITLES[peer]} {setting}")
                try:
                    row = run_pinned(command, threads)
                    if peer == "quern" and case not in runs:
                        # As many runs as fit the peers' seconds.
                        runs[case] = max(least, int(args.seconds * 1e3
                                                 / row["p50_ms"]))
                        row = run_pinned(our_command(args, case, runs[case]),
                                         threads)
                except RuntimeError as error:
                    print(f"{where}: {error}", file=sys.stderr)
                    if peer == "quern":
                        sys.exit(1)
                    continue
                row["ms"] = row.get("median_ms", row.get("p50_ms"))
                row["cosine"] = cosine(row.pop("output", None),
                                       reference[case[:2]])
                row["turn"] = turn
                row.pop("ops", None)
                print(f"{where}: {row['ms']:.3f} ms", file=sys.stderr)
                found.setdefault((peer, setting), []).append(row)
            for peer in args.peers:
                mine = {s: middle(r, "ms") for (p, s), r in found.items()
                        if p == peer}
                if not mine:
                    sys.exit(f"peers: error: {TITLES[peer]} could not be run")
                fastest[case, peer] = min(mine, key=mine.get)
    return rows, fastest


def middle(rows, key):
    return statistics.median(row[key] for row in rows)


def summary(args, rows, fastest):
    """One entry for each contender of each case."""
    entries = []
    for case, found in rows.items():
        ours = found["quern", ""]
        by_turn = {row["turn"]: row["ms"] for row in ours}
        contenders = [("quern", "")] + [(peer, fastest[case, peer])
                                        for peer in args.peers]
        for peer, setting in contenders:
            mine = found[peer, setting]
            entry = {
                "batch": case[0], "tokens": ours[0]["length"],
                "threads": case[2], "system": TITLES[peer],
                "setting": (settings(args, peer)[setting] if setting
                            else ours[0]["tier"]),
                "p50_ms": middle(mine, "ms"), "rounds": len(mine),
                "sequences_per_second":
                    1e3 * ours[0]["sequences"] / middle(mine, "ms"),
                "times_quern": statistics.median(
                    row["ms"] / by_turn[row["turn"]] for row in mine),
                "cosine": mine[-1]["cosine"],
                "waited": middle(mine, "wait"),
                "involuntary_switches_a_second": middle(mine, "switches")}
            if peer == "quern":
                entry["handoff_ns"] = middle(ours, "handoff_ns")
                entry["share_of_peak"] = middle(ours, "share_of_peak")
            entries.append(entry)
    return entries


def table(entries):
    lines = ["| batch | tokens | threads | system | setting | p50 ms | seq/s | "
             "times Quern | cosine to f32 | waited | switches/s | hand-off ns "
             "|", "|---" * 12 + "|"]
    for e in entries:
        near = "-" if e["cosine"] is None else f"{e['cosine']:.5f}"
        handoff = e.get("handoff_ns", 0)
        lines.append(
            f"| {e['batch']} | {e['tokens']} | {e['threads']} | {e['system']} "
            f"| {e['setting']} | {e['p50_ms']:.3f} | "
            f"{e['sequences_per_second']:.1f} | {e['times_quern']:.2f} | "
            f"{near} | {e['waited']:.1%} | "
            f"{e['involuntary_switches_a_second']:.1f} | "
            f"{f'{handoff:.0f}' if handoff else '-'} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("quern", "module", "model", "work"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--peers", nargs="+", choices=SETTINGS,
                        default=list(SETTINGS))
    for name, value in (("lengths", 128), ("batches", 1), ("threads", 1)):
        parser.add_argument("--" + name, type=int, nargs="+", default=[value])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--text", metavar="FILE")
    parser.add_argument("--pair", action="store_true")
    parser.add_argument("--max-length", type=int, default=0)
    parser.add_argument("--samples", type=int, default=1 << 20)
    parser.add_argument("--json", action="store_true",
                        help="the table and every measured row as JSON")
    args = parser.parse_args()
    check_packages(args.peers)
    folder, model = prepare(args)
    with tempfile.TemporaryDirectory() as place:
        sequences = Sequences(args, model, folder, place)
        rows, fastest = measure(args, folder, sequences)
    entries = summary(args, rows, fastest)
    if not args.json:
        print(table(entries))
        return
    print(json.dumps({
        "table": entries,
        "rows": [dict(row, system=TITLES[peer], setting=setting,
                      batch=case[0], tokens=case[1], threads=case[2])
                 for case, found in rows.items()
                 for (peer, setting), mine in found.items()
                 for row in mine]}, indent=1))


if __name__ == "__main__":
    main()
