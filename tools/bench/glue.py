#!/usr/bin/env python3
"""Accuracy of recipes on GLUE: compile each checkpoint with each recipe, run
the dev set, print one Markdown row per model and recipe.

    tools/bench/glue.py --models DIR --glue DIR [--tasks rte,mrpc] [--recipes w8a8,default]

DIR of --models holds folders named as in ../shared/models (bert-rte, bert-mrpc,
..., minilm-sst2); DIR of --glue holds the GLUE files as in ../shared/glue.
Calibration: 256 rows of the train set, chosen with a fixed seed.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

# Folder of the GLUE files, text columns (from 0), whether there is a header.
TASKS = {
    "rte": ("RTE", (0, 1), True), "mrpc": ("MRPC", (3, 4), True),
    "stsb": ("STS-B", (7, 8), True), "cola": ("CoLA", (3,), False),
    "sst2": ("SST-2", (0,), True),
}


def calibration(glue, task, path, rows=256):
    folder, columns, header = TASKS[task]
    with open(os.path.join(glue, folder, "train.tsv"), encoding="utf-8-sig") as f:
        lines = f.read().split("\n")
    lines = [l for l in (lines[1:] if header else lines) if l]
    random.Random(1).shuffle(lines)
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


def run(command, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}\n{done.stderr}")
    return done.stdout


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--models", required=True)
    ap.add_argument("--glue", required=True)
    ap.add_argument("--tasks", default="minilm-sst2,rte,mrpc,stsb,cola,sst2")
    ap.add_argument("--recipes", default="fp32,w8a8-minmax,w8a8,mp,peg6,default")
    ap.add_argument("--quern", default=os.path.join(os.path.dirname(__file__), "../../build/release/bin/quern"))
    ap.add_argument("--json", help="append one JSON object a row to this file")
    args = ap.parse_args()
    print("| model | recipe | metric | same prediction | logit difference | module MB |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as tmp:
        # The collapse that the PEG paper reports needs its own estimator.
        minmax = os.path.join(tmp, "w8a8-minmax.json")
        with open(minmax, "w") as f:
            json.dump({"base": "w8a8", "activation": {"bits": 8, "estimator": "running_minmax"},
                       "weight": {"bits": 8, "granularity": "tensor", "estimator": "minmax"}}, f)
        for name in args.tasks.split(","):
            task = name.split("-")[-1]
            model = os.path.join(args.models, name if "-" in name else "bert-" + name)
            texts = os.path.join(tmp, "calibration.txt")
            calibration(args.glue, task, texts)
            data = os.path.join(args.glue, TASKS[task][0], "dev.tsv")
            reference = os.path.join(tmp, "reference.qbm")
            run([args.quern, "compile", "-q", model, "-o", reference, "--recipe", "fp32"])
            for recipe in args.recipes.split(","):
                module = os.path.join(tmp, "module.qbm")
                source = minmax if recipe == "w8a8-minmax" else recipe
                run([args.quern, "compile", "-q", model, "-o", module, "--recipe", source, "--calibrate", texts])
                result = json.loads(run([args.quern, "eval", "-q", module, "--task", task, "--data", data,
                                         "--ref", reference, "--json"]))
                metrics = ", ".join(f"{k} {100 * v:.2f}" for k, v in result["metrics"].items())
                against = result["against_reference"]
                same = "" if task == "stsb" else f"{100 * against['same_prediction']:.1f} %"
                print(f"| {os.path.basename(model)} | {recipe} | {metrics} | {same} | "
                      f"{against['mean_logit_difference']:.3f} | {os.path.getsize(module) / 1e6:.1f} |", flush=True)
                if args.json:
                    result.update(model=os.path.basename(model), recipe=recipe, bytes=os.path.getsize(module))
                    with open(args.json, "a") as f:
                        f.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
