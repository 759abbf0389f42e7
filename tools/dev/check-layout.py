#!/usr/bin/env python3
"""Hold the line of the project's layout: who includes whom, lengths, names.

    tools/dev/check-layout.py [--root DIR]

Prints one line per finding and ends with exit code 1 where there is any.
Files looked at are those git tracks or would track.
"""
import argparse
import os
import re
import subprocess
import sys

# What a folder's sources may include, as the first part of the path.
MAY_INCLUDE = {
    "dialects": {"dialects"},
    "lib": {"lib", "dialects"},
    "compiler": {"compiler", "lib", "dialects"},
    "tools": {"tools", "compiler", "lib", "dialects", "runtime"},
    "runtime": {"runtime"},
}
# The contract between compiler and runtime: the module's form and the one
# definition of its arithmetic, of which log_math.h and integer_*.h are parts;
# nothing else crosses for lib and dialects. The compiler also writes what the
# runtime reads: the manifest and the tokenizer blob.
ABI_HEADERS = {"integer_activation.h", "integer_gelu.h", "integer_log_probs.h",
               "integer_math.h", "integer_norm.h", "integer_probs.h",
               "integer_requant.h", "integer_softmax.h", "log_math.h",
               "module_abi.h", "quant_math.h"}
COMPILER_READS = re.compile(r"^(runtime/tokenizer/|.*manifest_generated\.h$|"
                            r"runtime/include/quern/)")
COMMON_STAGES = {"Support", "Analysis"}

TOP_LEVEL = {
    "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE",
    "SECURITY.md", "CONTRIBUTING.md", "packages.txt", "requirements.txt",
    "compiler", "dialects", "lib", "runtime", "test", "tools",
    ".ci", ".clang-format", ".gitignore", ".gitattributes",
}
CODE = (".cpp", ".h", ".c", ".td", ".py", ".sh", ".cmake")
MAX_LINES, MAX_PATH, MAX_FOLDERS = 800, 60, 3
LONG_ALLOWED = {"dialects/TQ/TQOps.td"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
TD_INCLUDE = re.compile(r'^\s*include\s+"([^"]+)"', re.M)
# Spelled in pieces, so that this file passes its own check.
MACHINE = re.compile(r"(?<![\w.}/])/(?:" + "|".join(
    ["wor" + "k", "roo" + "t", "hom" + "e", "tm" + "p"]) + r")/")
URL = re.compile(r"https?" + r"://([\w.-]+)")
URL_HOSTS = {"www.apache.org", "llvm.org", "arxiv.org", "localhost"}
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
CXX_HEADERS = {"vector", "string", "memory", "map", "cstdint", "cstddef",
               "array", "optional", "functional", "string_view"}


def tracked(root):
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others",
               "--exclude-standard"]
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    if os.path.exists(os.path.join(root, ".git")) and done.returncode == 0:
        names = done.stdout.decode().split("\0")
        return sorted(n for n in names
                      if n and os.path.isfile(os.path.join(root, n)))
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", ".git", ".venv")]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return sorted(found)


def stage(path):
    """lib/Rewrite/X.h -> Rewrite; lib/Target/X86/X.h -> Target/X86; what all
    targets share, lib/Target/X.h -> Target, is part of each."""
    parts = path.split("/")
    if len(parts) > 3 and parts[1] == "Target":
        return "Target/" + parts[2]
    return parts[1] if len(parts) > 2 else ""


def check_include(path, target, say):
    top, to = path.split("/")[0], target.split("/")[0]
    if top not in MAY_INCLUDE:
        return
    if to in ("llvm", "llvm-c", "mlir", "mlir-c"):
        if top == "runtime":
            say(f"includes {target}: the runtime must not need LLVM")
        return
    if top == "runtime" and to in MAY_INCLUDE and to != "runtime":
        say(f"includes {target}: the runtime includes nothing of {to}/")
    elif to == "quern" or to == "runtime" or \
            target.endswith("manifest_generated.h"):
        name = os.path.basename(target)
        if top in ("lib", "dialects") and name not in ABI_HEADERS:
            say(f"includes {target}: of runtime/ only "
                f"{', '.join(sorted(ABI_HEADERS))} may be read here")
        if top == "compiler" and to == "runtime" \
                and not COMPILER_READS.match(target):
            say(f"includes {target}: compiler/ reads only the public headers, "
                "the manifest and the tokenizer of runtime/")
    elif to in MAY_INCLUDE and to not in MAY_INCLUDE[top]:
        say(f"includes {target}: {top}/ must not know {to}/")
    elif top == "lib" and to == "lib":
        here, there = stage(path), stage(target)
        if there not in COMMON_STAGES | {here, here.split("/")[0]}:
            say(f"includes {target}: stage {here} must not include "
                f"stage {there}")


def check_file(root, path, say):
    parts = path.split("/")
    if parts[0] not in TOP_LEVEL:
        say(f"{parts[0]} is not one of the agreed top-level entries")
    if len(path) > MAX_PATH:
        say(f"path has {len(path)} characters, at most {MAX_PATH} are allowed")
    if len(parts) - 1 > MAX_FOLDERS + (parts[0] == "test"):
        say(f"lies {len(parts) - 1} folders deep, at most {MAX_FOLDERS} "
            "are allowed (one more under test/)")
    with open(os.path.join(root, path), "rb") as f:
        raw = f.read()
    if b"\0" in raw:
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        if path.endswith(CODE):
            say("is not UTF-8")
        return
    if text and not text.endswith("\n"):
        say("does not end with a newline")
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE.search(line):
            say(f"line {number} names a path of one machine")
        for host in URL.findall(line):
            if host not in URL_HOSTS and parts[0] != "LICENSE":
                say(f"line {number} names the address {host}")
        if UNFINISHED.search(line):
            say(f"line {number} marks unfinished work")
        if line != line.rstrip() and path.endswith(CODE):
            say(f"line {number} has trailing space")
    if not path.endswith(CODE):
        return
    lines = text.count("\n")
    if lines > MAX_LINES and path not in LONG_ALLOWED:
        say(f"has {lines} lines, at most {MAX_LINES} are allowed")
    if path.endswith((".h", ".cpp", ".c", ".td")):
        if not text.startswith(("//===-", "/*===-")) and lines > 3:
            say("does not begin with a banner (//===- Name - phrase ---===//)")
        if text.split("\n", 2)[1:2] == ["//-*-===//"]:
            say("has a banner of more than 80 columns, wrapped")
        pattern = TD_INCLUDE if path.endswith(".td") else None
        targets = pattern.findall(text) if pattern else [
            t for _, t in INCLUDE.findall(text)]
        for target in targets:
            check_include(path, target, say)
    if path.endswith(".h"):
        guard = re.sub(r"[^A-Za-z0-9]", "_", parts[-1]).upper()
        found = re.search(r"^#ifndef (\w+)", text, re.M)
        if not found or not found.group(1).endswith(guard):
            say(f"has no include guard that ends with {guard}")
    if path.startswith("runtime/include/") and path.endswith(".h"):
        for kind, target in INCLUDE.findall(text):
            if kind == "<" and target in CXX_HEADERS:
                say(f"includes <{target}>: public headers are C")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=os.path.join(here, "..", ".."))
    root = os.path.abspath(parser.parse_args().root)
    findings = []
    files = tracked(root)
    for path in files:
        check_file(root, path, lambda what: findings.append(f"{path}: {what}"))
    print("\n".join(findings + [f"{len(files)} files, "
                                f"{len(findings)} findings"]))
    sys.exit(1 if findings or not files else 0)


if __name__ == "__main__":
    main()
