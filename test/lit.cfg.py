"""lit configuration: RUN lines are bash, tools come from the build tree.

Substitutions
    %root      the repository          %build   the build directory
    %shared    the data folder beside the repository ($QUERN_SHARED)
    %models    prepared model folders  ($QUERN_MODELS, default build/models)
    %python    the Python of requirements.txt where it is set up
    %cc        the C compiler of the build
    %ptxas     NVIDIA's assembler, where it is installed

Features for REQUIRES
    shared, models-NAME, mlir, avx512vnni, clang-format, numpy,
    hf-tokenizers, sanitizer, ptxas
"""
import glob
import os
import shutil
import subprocess

import lit.formats

config.name = "quern"
config.test_format = lit.formats.ShTest(execute_external=True)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.join(config.quern_source_dir, "test")
config.test_exec_root = os.path.join(config.quern_binary_dir, "test")

root, build = config.quern_source_dir, config.quern_binary_dir
shared = os.environ.get("QUERN_SHARED") or os.path.join(root, "..", "shared")
shared = os.path.realpath(shared)
models = os.environ.get("QUERN_MODELS") or os.path.join(root, "build", "models")
models = os.path.realpath(models)
python = os.path.join(root, ".venv", "bin", "python")
python = os.environ.get("QUERN_PYTHON") or (
    python if os.path.exists(python) else shutil.which("python3"))

# A wheel, or a toolkit. Without it nothing says whether PTX can be assembled.
ptxas = os.environ.get("QUERN_PTXAS") or next(
    iter(glob.glob(os.path.join(os.path.dirname(python), "..", "lib", "python3*",
                                "site-packages", "nvidia", "*", "bin",
                                "ptxas"))), None) or shutil.which("ptxas")

# Longer names first: lit replaces in this order.
config.substitutions += [
    ("%python", python),
    ("%shared", shared),
    ("%models", models),
    ("%build", build),
    ("%root", root),
    ("%ptxas", ptxas or "ptxas"),
    ("%cc", config.quern_c_compiler),
]

path = [os.path.join(build, "bin")]
if config.quern_llvm_tools:
    path.append(config.quern_llvm_tools)
config.environment["PATH"] = os.pathsep.join(
    path + [config.environment.get("PATH", os.environ["PATH"])])
for name in ("HOME", "QUERN_MAX_ISA", "QUERN_CACHE_DIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
config.environment["QUERN_SHARED"] = shared
config.environment["QUERN_MODELS"] = models
config.environment["QUERN_SOURCE_DIR"] = root
config.environment["QUERN_BINARY_DIR"] = build

features = config.available_features
if os.path.isdir(shared):
    features.add("shared")
if os.path.isdir(models):
    for name in os.listdir(models):
        if os.path.exists(os.path.join(models, name, "model.safetensors")):
            features.add("models-" + name)
if config.quern_runtime_only not in ("ON", "TRUE", "1"):
    features.add("mlir")
else:
    # The others need a compiler to make the module they run.
    config.excludes += ["dialects", "lib", "compiler", "tools", "e2e"]
if config.quern_sanitize:
    features.add("sanitizer")
if ptxas:
    features.add("ptxas")
elif config.quern_runtime_only not in ("ON", "TRUE", "1"):
    lit_config.note("no ptxas: tests that assemble PTX are SKIPPED "
                    "(tools/dev/requirements-gpu.txt has it)")
if shutil.which("clang-format-22"):
    features.add("clang-format")
with open("/proc/cpuinfo") as info:
    flags = next((l for l in info if l.startswith("flags")), "").split()
if {"avx512f", "avx512bw", "avx512vl", "avx512_vnni",
        "avx512vbmi"} <= set(flags):
    features.add("avx512vnni")
for feature, modules in (("numpy", "numpy, safetensors"),
                         ("hf-tokenizers", "tokenizers")):
    if subprocess.run([python, "-c", "import " + modules],
                      stderr=subprocess.DEVNULL).returncode == 0:
        features.add(feature)
if subprocess.run([python, "-c", "import tokenizers"],
                  stderr=subprocess.DEVNULL).returncode == 0:
    features.add("hf-tokenizers")
