#!/usr/bin/env python3
"""Compare the tokenizer with Hugging Face's `tokenizers`: no difference allowed.

    compare.py TOOL MODEL_DIR [--glue DIR] [--lengths N,N...] [--random N]
               [--seed S] [--code-points] [--options]

TOOL is tokenize-lines. Texts: every line of every GLUE file, its fields as
single texts and its longest two as pairs, each different one once; at several
maximum lengths those that reach them, and every 16th of the others; every code
point in four surroundings; random strings of hard Unicode; and, with
--options, the same random strings under other options of the normalizer.
Needs PyPI `tokenizers`.

A vocabulary of words hides differences behind [UNK]; the runs with options use
one of all characters instead, in which every normalized character shows.
"""
import argparse
import glob
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

CHUNK = 20000
# Where trouble lives: first and last code point of each range.
RANGES = [(0, 0x7F), (0, 0x2FF), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF),
          (0x700, 0x8FF), (0x900, 0xDFF), (0xE00, 0xFFF), (0x1100, 0x11FF),
          (0x1680, 0x18AF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1FFF),
          (0x2000, 0x20FF), (0x2100, 0x24FF), (0x2DE0, 0x2E5F),
          (0x3000, 0x30FF), (0x3400, 0x4DFF), (0x4E00, 0x9FFF),
          (0xA640, 0xAAFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF),
          (0xF900, 0xFAFF), (0xFB00, 0xFFFD), (0x10A00, 0x11FFF),
          (0x16A00, 0x16FFF), (0x1CF00, 0x1D1FF), (0x1E000, 0x1E95F),
          (0x1F000, 0x1FAFF), (0x20000, 0x2A700), (0x2F800, 0x2FA1F),
          (0x30000, 0x31400), (0xE0000, 0xE01EF), (0xF0000, 0x10FFFF)]
PIECES = ["[MASK]", "[SEP]", "[CLS]", "[UNK]", "[PAD]", "[mask]", "[MASK", " ",
          "  ", "\t", "\n", "\r\n", "\u00a0", "\u200d", "\u200b", "\u3000",
          "\ufeff", "\ufffd", "\0", "İ", "ı", "ß", "ς", "Σ", "ΑΣ",
          "é", "e\u0301", "ﬁ", "が", "か\u3099", "각", "\u1100\u1161",
          "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "don't", "U.S.", "un", "##able", "the",
          "ing", "$1.50", "x" * 99, "y" * 100, "z" * 101, "\u0300\u0334"]


def random_text(rng):
    parts = []
    for _ in range(rng.randint(0, 24)):
        kind = rng.random()
        if kind < 0.3:
            parts.append(rng.choice(PIECES))
        elif kind < 0.5:
            parts.append("".join(rng.choice("abcdefghijklmnopqrstuvwxyzABC ")
                                 for _ in range(rng.randint(1, 12))))
        else:
            low, high = rng.choice(RANGES)
            for _ in range(rng.randint(1, 5)):
                c = rng.randint(low, high)
                parts.append("?" if 0xD800 <= c < 0xE000 else chr(c))
    return "".join(parts)


def broken_bytes(rng):
    """UTF-8 with bytes changed, dropped and added."""
    raw = bytearray(random_text(rng).encode())
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(raw))
        kind = rng.random()
        if kind < 0.4:
            raw.insert(at, rng.randint(0x80, 0xFF))
        elif at < len(raw):
            if kind < 0.7:
                del raw[at]
            else:
                raw[at] = rng.randint(0, 0xFF)
    return bytes(raw)


class Comparison:
    def __init__(self, tool, oracle, folder):
        self.tool, self.oracle, self.folder = tool, oracle, folder
        self.compared = self.spans = self.wrong = 0

    def run_tool(self, lines, length):
        command = [self.tool, self.folder] + ([str(length)] if length else [])
        done = subprocess.run(command, input=b"\n".join(lines) + b"\n",
                              stdout=subprocess.PIPE)
        if done.returncode:
            sys.exit("%s failed: %d" % (self.tool, done.returncode))
        return [json.loads(line)
                for line in done.stdout.decode().split("\n")[:-1]]

    def check(self, name, inputs, length=0):
        """inputs: texts, or pairs of texts. Gives the count of tokens of each."""
        before, counts = self.compared, []
        if length:
            self.oracle.enable_truncation(length)
        else:
            self.oracle.no_truncation()
        for start in range(0, len(inputs), CHUNK):
            chunk = inputs[start:start + CHUNK]
            lines = [json.dumps({"text": x} if isinstance(x, str) else
                                {"text": x[0], "text_pair": x[1]}).encode()
                     for x in chunk]
            results = self.run_tool(lines, length)
            self.compare(chunk, results)
            counts += [len(result["ids"]) for result in results]
        print("%-28s length %4s: %7d inputs" % (name, length or "-",
                                                self.compared - before),
              flush=True)
        return counts

    def compare(self, chunk, results):
        if len(results) != len(chunk):
            sys.exit("%d results for %d inputs" % (len(results), len(chunk)))
        for x, ours, theirs in zip(chunk, results,
                                   self.oracle.encode_batch(chunk)):
            self.compared += 1
            if ours["ids"] != theirs.ids or \
                    ours["type_ids"] != theirs.type_ids:
                self.wrong += 1
                if self.wrong <= 10:
                    print("DIFFERENCE: %s\n  ours   %s\n  theirs %s" % (
                        ascii(x), ours["ids"], theirs.ids))
            self.spans += self.count_spans(x, ours, theirs)

    @staticmethod
    def count_spans(x, ours, theirs):
        """Tokens whose bytes are others than those of Hugging Face."""
        texts = (x,) if isinstance(x, str) else x
        if all(text.isascii() for text in texts):
            return sum([b, e] != span for (b, e), span in
                       zip(theirs.offsets, ours["spans"]))
        where = []
        for text in texts:
            at = [0]
            for c in text:
                at.append(at[-1] + len(c.encode()))
            where.append(at)
        return sum([where[t][b], where[t][e]] != span for t, (b, e), span in
                   zip(theirs.type_ids, theirs.offsets, ours["spans"]))


def glue_inputs(folder):
    singles, pairs, lines = [], [], 0
    for path in sorted(glob.glob(os.path.join(folder, "*", "*.tsv"))):
        with open(path, "rb") as f:
            for raw in f.read().split(b"\n"):
                line = raw.decode(errors="replace")
                fields = line.split("\t")
                singles.append(line)
                lines += 1
                if len(fields) > 1:
                    singles.extend(fields)
                    long = sorted(fields, key=len)[-2:]
                    pairs.append(tuple(long))
    # Each different one once, in the order of the files.
    return lines, list(dict.fromkeys(singles)), list(dict.fromkeys(pairs))


def reaching(length, inputs, counts):
    """What is cut to `length` tokens or nearly so, and every 16th other."""
    return [x for i, (x, count) in enumerate(zip(inputs, counts))
            if count >= length - 2 or i % 16 == 0]


def code_points():
    texts = []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        s = chr(c)
        texts.append("a%sb %s c%s\u0316\u0301 \u0301%s\u0334%sA" %
                     (s, s, s, s, s))
    return texts


def letters():
    """A vocabulary of single characters, first in a word and later."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    points = [c for low, high in ((0x21, 0xD800), (0xE000, 0x20000),
                                  (0x2F800, 0x2FA20), (0xE0000, 0xE0200))
              for c in range(low, high)]
    tokens += [chr(c) for c in points] + ["##" + chr(c) for c in points]
    return {token: i for i, token in enumerate(tokens)}


def option_sets():
    for clean in (True, False):
        for chinese in (True, False):
            for lower in (True, False):
                for accents in (None, True, False):
                    yield dict(clean_text=clean, handle_chinese_chars=chinese,
                               strip_accents=accents, lowercase=lower)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool")
    parser.add_argument("model")
    parser.add_argument("--glue")
    parser.add_argument("--lengths", default="3,16,33,128")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--code-points", action="store_true")
    parser.add_argument("--options", action="store_true")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with open(os.path.join(args.model, "tokenizer.json")) as f:
        pipeline = json.load(f)
    pipeline["padding"] = pipeline["truncation"] = None
    oracle = Tokenizer.from_str(json.dumps(pipeline))
    comparison = Comparison(args.tool, oracle, args.model)

    if args.glue:
        lines, singles, pairs = glue_inputs(args.glue)
        print("%d lines of GLUE" % lines)
        both = [(name, inputs, comparison.check(name, inputs)) for name, inputs
                in (("GLUE lines and fields", singles), ("GLUE pairs", pairs))]
        for length in map(int, args.lengths.split(",")):
            for name, inputs, counts in both:
                comparison.check(name, reaching(length, inputs, counts), length)
    if args.code_points:
        comparison.check("code points", code_points())
    if args.random:
        texts = [random_text(rng) for _ in range(args.random)]
        comparison.check("random", texts)
        comparison.check("random pairs", list(zip(texts, texts[1:])), 17)
        comparison.check("random, broken UTF-8",
                         [broken_bytes(rng).decode(errors="replace")
                          for _ in range(args.random // 4)])
    if args.options:
        pipeline["model"]["vocab"] = vocab = letters()
        for token in pipeline["added_tokens"]:
            token["id"] = vocab[token["content"]]
        for name, token in pipeline["post_processor"]["special_tokens"].items():
            token["ids"] = [vocab[name]]
        with tempfile.TemporaryDirectory() as folder:
            for options in option_sets():
                pipeline["normalizer"] = dict(type="BertNormalizer", **options)
                text = json.dumps(pipeline)
                with open(os.path.join(folder, "tokenizer.json"), "w") as f:
                    f.write(text)
                other = Comparison(args.tool, Tokenizer.from_str(text), folder)
                name = ",".join(k for k, v in options.items() if v) + \
                    (",accents=None" if options["strip_accents"] is None
                     else "")
                texts = [random_text(rng) for _ in
                         range(max(args.random // 8, 1000))]
                # All code points for the two common sets of options.
                if options["clean_text"] and options["strip_accents"] is None \
                        and options["handle_chinese_chars"]:
                    texts += code_points()
                other.check(name, texts)
                comparison.compared += other.compared
                comparison.wrong += other.wrong
                comparison.spans += other.spans
    print("%d inputs compared, %d differ; %d tokens have other spans"
          % (comparison.compared, comparison.wrong, comparison.spans))
    sys.exit(1 if comparison.wrong or not comparison.compared else 0)


if __name__ == "__main__":
    main()
