"""Run a module on a GLUE dev set and hold its answers against the reference.

    check-glue.py MODULE TASK SHARED [--reference NAME [--logits TOLERANCE]
        [--same-metrics]] [--at-least METRIC=VALUE] [--below METRIC=VALUE]

glue-reference.json holds the metrics and the logits of the first 24 rows as
PyTorch computes them in f32, at most 512 tokens a row. Prints what it found.
"""
import argparse
import json
import math
import os
import subprocess
import sys

# folder, header lines, text columns, label column
TASKS = {"sst2": ("SST-2", 1, (0,), 1), "cola": ("CoLA", 0, (3,), 1),
         "mrpc": ("MRPC", 1, (3, 4), 0), "rte": ("RTE", 1, (0, 1), 2),
         "stsb": ("STS-B", 1, (7, 8), 9)}


def read_rows(task, shared):
    folder, header, texts, label = TASKS[task]
    path = os.path.join(shared, "glue", folder, "dev.tsv")
    with open(path, encoding="utf-8-sig", newline="\n") as f:
        lines = f.read().rstrip("\n").split("\n")[header:]
    cells = [line.split("\t") for line in lines]
    return [[c[t] for t in texts] for c in cells], \
        [float(c[label]) for c in cells]


def run(module, rows):
    records = [dict(zip(("text", "text_pair"), row), id=i)
               for i, row in enumerate(rows)]
    done = subprocess.run(
        ["quern", "run", module, "--input", "-"], check=True,
        input="".join(json.dumps(r) + "\n" for r in records),
        stdout=subprocess.PIPE, text=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if [a["id"] for a in answers] != list(range(len(rows))):
        sys.exit("FAILED: the answers do not echo the ids in order")
    return [a["logits"] for a in answers]


def correlation(x, y):
    mx, my = sum(x) / len(x), sum(y) / len(y)
    xy = sum((a - mx) * (b - my) for a, b in zip(x, y))
    xx = sum((a - mx) ** 2 for a in x)
    yy = sum((b - my) ** 2 for b in y)
    return xy / math.sqrt(xx * yy) if xx and yy else 0.0


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    result, begin = [0.0] * len(values), 0
    while begin < len(order):
        end = begin
        while end < len(order) and \
                values[order[end]] == values[order[begin]]:
            end += 1
        for index in order[begin:end]:
            result[index] = (begin + end + 1) / 2
        begin = end
    return result


def metrics(task, logits, labels):
    if task == "stsb":
        scores = [row[0] for row in logits]
        return {"pearson": correlation(scores, labels),
                "spearman": correlation(ranks(scores), ranks(labels))}
    found = [row.index(max(row)) for row in logits]
    both = sum(p == 1 and y == 1 for p, y in zip(found, labels))
    either = sum(found) + sum(labels)
    return {"accuracy": sum(map(float.__eq__, map(float, found), labels))
            / len(labels),
            "f1": 2 * both / either if either else 0.0,
            # For two classes Matthews is Pearson of the class numbers.
            "matthews": correlation(found, labels)}


def bound(text):
    name, value = text.split("=")
    return name, float(value)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("shared")
    parser.add_argument("--reference")
    parser.add_argument("--logits", type=float)
    parser.add_argument("--same-metrics", action="store_true")
    parser.add_argument("--at-least", type=bound, action="append", default=[])
    parser.add_argument("--below", type=bound, action="append", default=[])
    args = parser.parse_args()
    rows, labels = read_rows(args.task, args.shared)
    logits = run(args.module, rows)
    found = metrics(args.task, logits, labels)
    wrong = []
    for name, value in found.items():
        print(f"{args.task} {name} {value:.6f}")
    if args.reference:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                            "glue-reference.json")
        with open(path) as f:
            reference = json.load(f)[args.reference]
        far = max(abs(a - b) for x, y in zip(logits, reference["logits"])
                  for a, b in zip(x, y))
        print(f"{args.task} logits at most {far:.2e} from the reference")
        if args.logits is not None and not far <= args.logits:
            wrong.append(f"logits are {far:.2e} off, at most {args.logits}")
        # One step of the last digit recorded; a row more or less is 1e-3.
        for name, value in reference["metrics"].items():
            if args.same_metrics and not abs(found[name] - value) < 1e-4:
                wrong.append(f"{name} is {found[name]:.6f}, not {value:.6f}")
    wrong += [f"{n} is {found[n]:.4f}, at least {v} is expected"
              for n, v in args.at_least if not found[n] >= v]
    wrong += [f"{n} is {found[n]:.4f}, below {v} is expected"
              for n, v in args.below if not found[n] < v]
    if wrong:
        sys.exit("FAILED: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
