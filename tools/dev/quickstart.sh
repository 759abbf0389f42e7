#!/usr/bin/env bash
# From a fresh Debian 12 to an answer: installs packages, builds, obtains
# MiniLM-L6, compiles it and compares a few sentences. Where the data folder
# ../shared is present, a sentiment model follows. Repeating it is quick.
#
#   tools/dev/quickstart.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
say() { printf '\n== %s\n' "$*"; }
quern=build/release/bin/quern
shared=${QUERN_SHARED:-../shared}

tools/dev/setup.sh --preset release
say "obtaining MiniLM-L6"
mkdir -p build/models
.venv/bin/python tools/dev/get-minilm.py build/models/minilm

say "compiling it to integer machine code: build/minilm.qbm"
"$quern" compile build/models/minilm -o build/minilm.qbm

say "similarity of sentences (cosine of their embeddings)"
"$quern" run build/minilm.qbm \
  "A man is playing the guitar." \
  "Someone is making music." \
  "The stock market fell sharply today." \
  "Share prices dropped." |
  .venv/bin/python tools/dev/similarity.py \
    "A man is playing the guitar." \
    "Someone is making music." \
    "The stock market fell sharply today." \
    "Share prices dropped."

if [ ! -d "$shared/models" ]; then
  say "no data folder at $shared: the sentiment example is left out"
  exit 0
fi
say "making a sentiment model from MiniLM and the SST-2 adapter"
sentiment=build/models/minilm-sst2
[ -f "$sentiment/model.safetensors" ] ||
  .venv/bin/python "$shared/models/make_checkpoint.py" sst2 "$sentiment" \
    --model minilm --base build/models/minilm
awk -F '\t' 'NR > 1 && NR <= 257 { print $1 }' \
  "$shared/glue/SST-2/train.tsv" >build/sst2.txt
"$quern" compile "$sentiment" -o build/sst2.qbm --calibrate build/sst2.txt
say "sentiment"
"$quern" run build/sst2.qbm \
  "A wonderful, funny and generous film." \
  "The plot is thin and the ending makes no sense."
