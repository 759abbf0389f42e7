#!/usr/bin/env python3
"""Time Quern and its peers side by side, in turns, on one machine.

    peers.py --work DIR --python VENV_PYTHON --quern BUILD/bin/quern

DIR holds what make_peers.py wrote (DIR/bert-base, DIR/minilm), the peak
program and NAME.qbm for each model; peers.sh prepares all of it. In every
round each contender gets a fresh pinned process, one after the other, so that
a drift of the machine meets all alike. A row gives the median over the rounds,
the rate over GEMM and attention operations beside the peak loop's of the same
round, the share of time its threads waited for a core and how often they were
taken off one: rows with more than a few percent there are worth little.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = {"bert-base": (12, 768, 3072), "minilm": (6, 384, 1536)}
CASES = [("bert-base", 128), ("minilm", 32), ("minilm", 128)]
PEERS = {"openvino:ov-int8-sym-nosq+bf16+static": "OpenVINO int8, bf16 rest",
         "openvino:ov-int8+static": "OpenVINO int8",
         "onnxruntime:ort-dynamic-s8": "ONNX Runtime dynamic int8"}


def giga_operations(model, length):
    """Multiplications and additions of the linear layers and of attention."""
    layers, hidden, inner = SHAPES[model]
    linear = length * (4 * hidden * hidden + 2 * hidden * inner)
    return 2e-9 * layers * (linear + 2 * length * length * hidden)


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
    row = json.loads(text[min(i for i in (text.find("["), text.find("{"))
                              if i >= 0):])
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
            raise RuntimeError(tail[-1] if tail else "failed")
    try:
        row = parse(printed)
    except ValueError:
        raise RuntimeError(f"no JSON printed: {printed[-200:]!r}") from None
    row["wait"] = wait * 1e-9 / elapsed / threads
    row["switches"] = usage.ru_nivcsw / elapsed
    return row


def contenders(args, model, length, threads):
    for setting, title in PEERS.items():
        yield title, [args.python, os.path.join(HERE, "peer_worker.py"),
                      setting, os.path.join(args.work, model), "1",
                      str(length), str(threads), str(args.seconds)]
    module = os.path.join(args.work, model + ".qbm")
    if args.quern and os.path.exists(module):
        # As many runs as fit the peers' seconds at their speed, roughly.
        rate = 1.5e3 * threads / giga_operations(model, length)
        runs = max(20, int(args.seconds * rate / 2))
        yield "Quern", [args.quern, "bench", module, "--lengths", str(length),
                        "--batches", "1", "--threads", str(threads),
                        "--runs", str(runs), "--json"]


def measure(args):
    rows = {}
    peak = os.path.join(args.work, "peak")
    for turn in range(args.rounds):
        for model, length in CASES:
            if args.model and model not in args.model:
                continue
            for threads in args.threads:
                rate = float(subprocess.run(
                    [peak, str(threads)], check=True,
                    stdout=subprocess.PIPE, text=True).stdout)
                for title, command in contenders(args, model, length,
                                                 threads):
                    where = f"{model} {length} tokens {threads} threads"
                    try:
                        row = run_pinned(command, threads)
                    except RuntimeError as error:
                        print(f"{where}: {title}: {error}", file=sys.stderr)
                        continue
                    row["median_ms"] = row.get("median_ms", row.get("p50_ms"))
                    row["peak"], row["turn"] = rate, turn
                    print(f"round {turn + 1}: {where}: {title}: "
                          f"{row['median_ms']:.3f} ms", file=sys.stderr)
                    key = (model, length, threads)
                    rows.setdefault(key, {}).setdefault(title, []).append(row)
    return rows


def middle(rows, key):
    return statistics.median(row[key] for row in rows)


def table(rows):
    """Markdown: contenders by time, with the ratio to the fastest peer."""
    lines = []
    for (model, length, threads), found in sorted(rows.items()):
        lines += [f"### {model}, {length} tokens, batch 1, "
                  f"{threads} thread{'s' * (threads > 1)}", "",
                  "| | median ms | GOP/s | of peak | times fastest peer | "
                  "waited | switches/s |", "|---|---|---|---|---|---|---|"]
        fastest = min((t for t in found if t != "Quern"), default="Quern",
                      key=lambda t: middle(found[t], "median_ms"))
        by_turn = {r["turn"]: r["median_ms"] for r in found[fastest]}
        work = giga_operations(model, length)
        for title in sorted(found,
                            key=lambda t: middle(found[t], "median_ms")):
            mine = found[title]
            ratio = statistics.median(
                [r["median_ms"] / by_turn[r["turn"]] for r in mine
                 if r["turn"] in by_turn] or [float("nan")])
            share = statistics.median(
                work / r["median_ms"] * 1e3 / r["peak"] if r["peak"] else 0
                for r in mine)
            milliseconds = middle(mine, "median_ms")
            lines.append(
                f"| {title} | {milliseconds:.3f} | "
                f"{work / milliseconds * 1e3:.0f} | {share:.0%} | "
                f"{ratio:.3f} | {middle(mine, 'wait'):.1%} | "
                f"{middle(mine, 'switches'):.1f} |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--quern")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", nargs="+", choices=SHAPES)
    parser.add_argument("--json", help="write every measured row here")
    args = parser.parse_args()
    rows = measure(args)
    if not rows:
        sys.exit("peers: error: nothing could be measured")
    if args.json:
        with open(args.json, "w") as f:
            json.dump([dict(row, model=m, tokens=l, threads=t, contender=c)
                       for (m, l, t), found in rows.items()
                       for c, all_rows in found.items()
                       for row in all_rows], f, indent=1)
    print(table(rows))


if __name__ == "__main__":
    main()
