#!/usr/bin/env bash
# Times Quern beside OpenVINO, ONNX Runtime and CTranslate2 on this machine.
#
#   tools/bench/peers.sh --setup             install the peers (about 1 GB)
#   tools/bench/peers.sh [--rounds N ...]    the rows of README's figures
#   tools/bench/peers.sh --module M.qbm ...  options of peers.py: what
#                                            `quern bench M.qbm --peer` calls
#
# Environment: QUERN (the program, default build/release/bin/quern), PEERS_VENV
# (where the peers are, default .venv-peers), PEERS_WORK (their models, default
# build/peers), and for the figures CHECKPOINTS, a folder with bert-base/ and
# minilm/. Outside of a source tree the defaults lie in the user's cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-.}/.cache}/quern
if [ -f "$root/CMakeLists.txt" ]; then
  venv=$root/.venv-peers work=$root/build/peers
else
  venv=$cache/venv-peers work=$cache/peers
fi
venv=${PEERS_VENV:-$venv}
work=${PEERS_WORK:-$work}
quern=${QUERN:-$root/build/release/bin/quern}
checkpoints=${CHECKPOINTS:-$root/build/models}

complain() {
  echo "peers: error: $1" >&2
  exit 1
}

if [ "${1:-}" = --setup ]; then
  command -v python3 >/dev/null || complain "python3: not found; install it"
  mkdir -p "$(dirname "$venv")"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet -r "$here/requirements.txt"
  echo "the peers are in $venv"
  exit
fi
[ -x "$venv/bin/python" ] || complain \
  "$venv/bin/python: not found: no Python with the peers; $0 --setup makes it"
[ -x "$quern" ] || complain "$quern: not found; QUERN names the program"
mkdir -p "$work"
peers() {
  "$venv/bin/python" "$here/peers.py" --quern "$quern" --work "$work" "$@"
}

if [ "${1:-}" = --module ]; then
  peers "$@"
  exit
fi
for case in "bert-base 128" "minilm 32 128"; do
  read -r name lengths <<<"$case"
  model=$checkpoints/$name
  [ -f "$model/model.safetensors" ] ||
    complain "$model/model.safetensors: not found; CHECKPOINTS names its folder"
  if [ ! -f "$work/$name.qbm" ]; then
    echo "== compiling $name" >&2
    "$quern" compile "$model" -o "$work/$name.qbm"
  fi
  echo "### $name"
  # shellcheck disable=SC2086
  peers --module "$work/$name.qbm" --model "$model" --lengths $lengths \
    --threads 1 2 "$@"
done
