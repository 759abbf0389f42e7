#!/usr/bin/env python3
"""Accuracy, size and time of recipes on GLUE: compile each checkpoint with each
recipe, run the dev set, print one Markdown row per model and recipe and, last,
the mean over the five BERT tasks.

    tools/bench/glue.py --models DIR --glue DIR [--tasks rte,mrpc] [--recipes w8a8,default]
                        [--json FILE [--resume]] [--markdown FILE] [--adaround-cache DIR]

DIR of --models holds folders named as in ../shared/models (bert-rte, bert-mrpc,
..., minilm-sst2); DIR of --glue holds the GLUE files as in ../shared/glue.
Calibration: 256 rows of the train set (--calibration), chosen with a fixed seed;
other ones (--seed, with another --json) show how much a figure owes to them.

A recipe is a preset, a recipe file, or one of the paper's settings in
tools/bench/recipes, whose rows shared/design/accuracy.md has. Behind it may stand
what `quern compile --set` takes: "repq-w6a6 p.quantizer=log_sqrt2 p.bits=4".
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# Folder of the GLUE files, text columns (from 0), whether there is a header.
TASKS = {
    "rte": ("RTE", (0, 1), True), "mrpc": ("MRPC", (3, 4), True),
    "stsb": ("STS-B", (7, 8), True), "cola": ("CoLA", (3,), False),
    "sst2": ("SST-2", (0,), True),
}
# The metric that the mean takes, as in the papers.
HEADLINE = {"rte": "accuracy", "mrpc": "f1", "stsb": "pearson", "cola": "matthews", "sst2": "accuracy"}
COLUMNS = ("| model | recipe | metric | value | drop | same prediction | logit difference | module MB | ms a sentence |\n"
           "|---|---|---|---|---|---|---|---|---|")


def paper_recipes():
    """Name to file and description of the recipes beside this script."""
    folder = os.path.join(HERE, "recipes")
    found = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path) as f:
            found[name[:-len(".json")]] = (path, json.load(f)["description"])
    return found


def calibration(glue, task, path, rows, seed):
    folder, columns, header = TASKS[task]
    with open(os.path.join(glue, folder, "train.tsv"), encoding="utf-8-sig") as f:
        lines = f.read().split("\n")
    lines = [l for l in (lines[1:] if header else lines) if l]
    random.Random(seed).shuffle(lines)
    count = 0
    with open(path, "w", encoding="utf-8") as out:
        for line in lines:
            cells = line.split("\t")
            if len(cells) <= max(columns):
                continue
            out.write("\t".join(cells[c] for c in columns) + "\n")
            count += 1
            if count == rows:
                break


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def agreement(ours, theirs):
    """Share of rows of one class, and mean difference of the logits."""
    same = sum(a.index(max(a)) == b.index(max(b)) for a, b in zip(ours, theirs))
    differences = [abs(x - y) for a, b in zip(ours, theirs) for x, y in zip(a, b)]
    return same / len(ours), sum(differences) / len(differences)


class Bench:
    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.papers = paper_recipes()

    def options(self, recipe):
        """What the compiler is told of a recipe."""
        name, *changes = recipe.split()
        options = ["--recipe", self.papers[name][0] if name in self.papers else name]
        for change in changes:
            options += ["--set", change]
        return options

    def measure(self, name, task, recipe, texts):
        """Compile and run; the row without what needs the f32 model, and the logits."""
        args = self.args
        model = os.path.join(args.models, name)
        module, logits = os.path.join(self.folder, "module.qbm"), os.path.join(self.folder, "logits.json")
        # Layers rounded for one recipe serve others that feed them the same.
        cache = ["--adaround-cache", os.path.join(args.adaround_cache, name)] if args.adaround_cache else []
        run([args.quern, "compile", "-q", model, "-o", module, *self.options(recipe), "--calibrate", texts, "--threads", str(args.threads), *cache])
        data = os.path.join(args.glue, TASKS[task][0], "dev.tsv")
        found = json.loads(run([args.quern, "eval", "-q", module, "--task", task, "--data", data, "--no-ref", "--json",
                                "--batch", "1", "--threads", "1", "--logits", logits]))
        with open(logits) as f:
            values = json.load(f)
        return {"model": name, "task": task, "recipe": recipe, "rows": found["rows"], "metrics": found["metrics"],
                "metric": HEADLINE[task], "value": 100 * found["metrics"][HEADLINE[task]],
                "bytes": os.path.getsize(module), "milliseconds": found["milliseconds_per_row"]}, values


def markdown(row):
    number = lambda key, form: form.format(row[key]) if row.get(key) is not None else ""
    # A regression predicts no class.
    same = "" if row.get("task") == "stsb" else number("same", "{:.1%}").replace("%", " %")
    return (f"| {row['model']} | {row['recipe']} | {row['metric']} | {row['value']:.2f} | {number('drop', '{:.2f}')} | {same} | "
            f"{number('difference', '{:.3f}')} | {row['bytes'] / 1e6:.1f} | {number('milliseconds', '{:.1f}')} |")


def means(rows, recipes):
    """A row for each recipe that has all five BERT tasks."""
    result = []
    for recipe in recipes:
        own = {r["task"]: r for r in rows if r["recipe"] == recipe and r["model"].startswith("bert-")}
        if set(own) != set(TASKS):
            continue
        mean = lambda key: sum(r[key] for r in own.values()) / len(own)
        row = {key: mean(key) for key in ("value", "drop", "difference", "bytes", "milliseconds")}
        classes = [r["same"] for r in own.values() if r["task"] != "stsb"]
        row.update(model="mean of 5", recipe=recipe, metric="mean", same=sum(classes) / len(classes))
        result.append(row)
    return result


def read_rows(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def main():
    papers = "".join(f"  {name:18}{about}\n" for name, (_, about) in paper_recipes().items())
    ap = argparse.ArgumentParser(description=__doc__ + papers + (
        "\nms a sentence: wall time of `quern eval --batch 1 --threads 1` over the dev set, tokenizer and all, by its rows.\n"
        "The f32 model is compiled and run once for each task; drop, same prediction and logit difference are against it.\n"),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--models", required=True)
    ap.add_argument("--glue", required=True)
    ap.add_argument("--tasks", default="minilm-sst2,rte,mrpc,stsb,cola,sst2")
    ap.add_argument("--recipes", default="fp32,w8a8-paper,w8a8,mp,peg6,default")
    ap.add_argument("--quern", default=os.path.join(HERE, "../../build/release/bin/quern"))
    ap.add_argument("--threads", type=int, default=0, help="of the compiler; 0 is one per CPU")
    ap.add_argument("--json", help="append one JSON object a row to this file; logits of the f32 models go beside it")
    ap.add_argument("--calibration", type=int, default=256, help="rows of the train set that recipes are calibrated on")
    ap.add_argument("--seed", type=int, default=1, help="which rows these are")
    ap.add_argument("--adaround-cache", metavar="DIR", help="keep layers that AdaRound has rounded in this folder, a file "
                    "for each model; recipes that share roundings take them from it")
    ap.add_argument("--resume", action="store_true", help="take rows that --json has already")
    ap.add_argument("--markdown", help="write the table to this file, too")
    args = ap.parse_args()
    if args.resume and not args.json:
        ap.error("--resume: expected --json FILE beside it")
    if args.adaround_cache:
        os.makedirs(args.adaround_cache, exist_ok=True)
    names = [name if "-" in name else "bert-" + name for name in args.tasks.split(",")]
    for name in names:
        if name.split("-")[-1] not in TASKS:
            ap.error(f"--tasks: found {name}, expected tasks {', '.join(TASKS)} or MODEL-TASK")
    recipes = args.recipes.split(",")
    done = {}
    if args.resume and os.path.exists(args.json):
        done = {(r["model"], r["recipe"]): r for r in read_rows(args.json) if r.get("milliseconds") is not None}
    lines, rows = [COLUMNS], []
    print(COLUMNS, flush=True)

    def show(row):
        lines.append(markdown(row))
        print(lines[-1], flush=True)

    def keep(row):
        done[row["model"], row["recipe"]] = row
        if args.json:
            with open(args.json, "a") as f:
                f.write(json.dumps(row) + "\n")

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, folder)
        for name in names:
            task = name.split("-")[-1]
            texts = os.path.join(folder, "calibration.txt")
            calibration(args.glue, task, texts, args.calibration, args.seed)
            # The f32 model's answers, once for all recipes and runs.
            store = f"{args.json}.{name}.f32.json" if args.json else os.path.join(folder, name + ".json")
            need = [recipe for recipe in recipes if (name, recipe) not in done]
            if need and not (args.resume and (name, "fp32") in done and os.path.exists(store)):
                row, logits = bench.measure(name, task, "fp32", texts)
                row.update(drop=0.0, same=1.0, difference=0.0)
                with open(store, "w") as f:
                    json.dump(logits, f)
                keep(row)
            if need:
                reference = done[name, "fp32"]
                with open(store) as f:
                    theirs = json.load(f)
            for recipe in recipes:
                if (name, recipe) not in done:
                    row, logits = bench.measure(name, task, recipe, texts)
                    row["same"], row["difference"] = agreement(logits, theirs)
                    row["drop"] = reference["value"] - row["value"]
                    keep(row)
                rows.append(done[name, recipe])
                show(rows[-1])
    for row in means(rows, recipes):
        show(row)
    if args.markdown:
        with open(args.markdown, "w") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError) as error:
        sys.exit(f"error: {error}")
