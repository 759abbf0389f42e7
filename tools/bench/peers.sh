#!/usr/bin/env bash
# Times Quern beside OpenVINO and ONNX Runtime on this machine.
#
#   tools/bench/peers.sh [options of peers.py, e.g. --rounds 7 --threads 1]
#
# Sets up the peers in .venv-peers (about 1 GB), makes their int8 models and
# Quern's modules in build/peers once, then measures in turns. Environment:
# QUERN (the program, default build/release/bin/quern), PEERS_WORK,
# PEERS_VENV, and CHECKPOINTS, a folder with bert-base/ and minilm/; without
# it the peers get random weights, and Quern is timed only where its modules
# are in PEERS_WORK.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
quern=${QUERN:-$root/build/release/bin/quern}
work=${PEERS_WORK:-$root/build/peers}
venv=${PEERS_VENV:-$root/.venv-peers}
checkpoints=${CHECKPOINTS:-$root/build/models}

mkdir -p "$work"
if [ ! -x "$venv/bin/python" ]; then
  echo "== installing the peers in $venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet -r "$here/requirements.txt"
fi
"${CC:-clang-22}" -O2 "$here/peak.c" -o "$work/peak" -lpthread
for name in bert-base minilm; do
  from=()
  if [ -f "$checkpoints/$name/model.safetensors" ]; then
    from=(--checkpoint "$checkpoints/$name")
    if [ -x "$quern" ] && [ ! -f "$work/$name.qbm" ]; then
      echo "== compiling $name" >&2
      "$quern" compile "$checkpoints/$name" -o "$work/$name.qbm"
    fi
  fi
  "$venv/bin/python" "$here/make_peers.py" "$name" "$work/$name" "${from[@]}"
done
exec "$venv/bin/python" "$here/peers.py" --work "$work" \
  --python "$venv/bin/python" --quern "$quern" "$@"
