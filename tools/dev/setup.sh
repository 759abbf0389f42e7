#!/usr/bin/env bash
# Installs what is missing, configures and builds. Repeating it costs nothing.
#
#   tools/dev/setup.sh [--preset NAME] [--target NAME]... [--no-build]
#
# Debian packages come from packages.txt (apt-get, as root or through sudo),
# Python packages from requirements.txt into .venv. The default preset is
# release; the build is in build/PRESET.
set -euo pipefail
cd "$(dirname "$0")/../.."
preset=release
build=yes
targets=()
while [ $# -gt 0 ]; do
  case $1 in
  --preset) preset=$2; shift ;;
  --target) targets+=(--target "$2"); shift ;;
  --no-build) build=no ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
say() { printf '\n== %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
      grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
      die "packages are missing and there is no sudo; install them as root: ${missing[*]}"
    root=(sudo)
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}"
}

install_python() {
  local stamp=.venv/requirements.installed
  cmp -s requirements.txt "$stamp" && return 0
  say "setting up Python packages in .venv"
  [ -x .venv/bin/python ] || python3 -m venv .venv
  .venv/bin/python -m pip install --disable-pip-version-check -r requirements.txt
  cp requirements.txt "$stamp"
}

# MLIR units need up to 1 GB each to compile.
jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
  [ "$memory" -ge 1 ] || memory=1
  echo $((cores < memory ? cores : memory))
}

command -v apt-get >/dev/null || die "needs a Debian 12 system (apt-get)"
mapfile -t packages < <(sed 's/#.*//; /^[[:space:]]*$/d' packages.txt)
install_packages "${packages[@]}"
install_python
say "configuring build/$preset"
cmake --preset "$preset"
[ "$build" = yes ] || exit 0
say "building build/$preset with $(jobs) jobs"
# The precompiled header needs this of ccache.
export CCACHE_SLOPPINESS=pch_defines,time_macros
cmake --build "build/$preset" -j "$(jobs)" "${targets[@]}"
