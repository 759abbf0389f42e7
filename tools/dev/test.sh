#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. The last line is
# `N passed, N failed, N skipped`.
#
#   tools/dev/test.sh [--preset NAME] [--quick]
#
# The default preset is dev (assertions on). --quick leaves whole models out.
# Where CI=true the data folder ../shared must be there; elsewhere its absence
# skips the tests that need it.
set -euo pipefail
cd "$(dirname "$0")/../.."
preset=dev
which=()
while [ $# -gt 0 ]; do
  case $1 in
  --preset) preset=$2; shift ;;
  --quick) which=(--quick) ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
say() { printf '\n== %s\n' "$*"; }

shared=${QUERN_SHARED:-../shared}
if [ ! -d "$shared/glue" ]; then
  if [ "${CI:-}" = true ]; then
    echo "test: error: $shared is missing; continuous integration needs it" >&2
    exit 1
  fi
  say "WARNING: no data folder at $shared; tests that need it are SKIPPED"
fi

tools/dev/setup.sh --preset "$preset"
gpu=tools/dev/requirements-gpu.txt
if ! cmp -s "$gpu" .venv/requirements-gpu.installed; then
  say "installing an assembler of PTX into .venv"
  if .venv/bin/python -m pip install --disable-pip-version-check -r "$gpu"; then
    cp "$gpu" .venv/requirements-gpu.installed
  else
    say "WARNING: no assembler of PTX; tests that need it are SKIPPED"
  fi
fi
say "the runtime builds without LLVM"
tools/dev/setup.sh --preset runtime
say "what reads files from outside, once more under the sanitizers"
tools/dev/setup.sh --preset asan --target QuernImportTest \
  --target QuernRecipeTest --target QuernSupportTest --target RuntimeTests \
  --target QuernTokenizerTests

if [ ${#which[@]} = 0 ] && [ -z "${QUERN_MODELS:-}" ]; then
  if [ -d "$shared/models" ] && ! command -v mvn >/dev/null &&
    [ "$(id -u)" = 0 ]; then
    say "installing maven for the BERT-base weights"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install \
      -y -q --no-install-recommends maven; } ||
      say "WARNING: maven could not be installed; BERT-base tests are SKIPPED"
  fi
  say "making models for the tests in build/models"
  tools/dev/make-models.sh build/models
fi

say "running the tests of build/$preset, and those of build/asan"
exec tools/dev/run-tests.py --build "build/$preset" --also build/asan \
  "${which[@]}"
