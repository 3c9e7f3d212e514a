#!/usr/bin/env bash
# Installs the parts that are written in Python, MLServer, sushy-tools and the client of Kubernetes,
# into a venv of their own, once for each content of requirements.txt.
#
#   build.sh            make the venv when it is missing, print its folder
#   build.sh --where    print its folder; exit 1 when it is missing
#
# TENBIN_CACHE  where the results live (default ~/.cache/tenbin)
# PYTHON        the Python that the venv is made with (default python3; 3.11 and later)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TENBIN_CACHE:-$HOME/.cache/tenbin}/predictor
dest=$cache/$(cat "$here"/{requirements.txt,build.sh} | sha256sum | cut -c1-16)

if [ "${1:-}" = --where ]; then
  printf '%s\n' "$dest"
  [ -e "$dest/.ready" ]
  exit
fi

if [ ! -e "$dest/.ready" ]; then
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock 9 # two checkouts may ask at once; the second finds the work done
fi
if [ ! -e "$dest/.ready" ]; then
  began=$SECONDS
  printf 'predictor: installing MLServer, sushy-tools and kubernetes into %s\n' "$dest" >&2
  rm -rf "$dest"
  "${PYTHON:-python3}" -m venv "$dest"
  "$dest/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    -r "$here/requirements.txt" >&2
  "$dest/bin/pip" check >&2
  touch "$dest/.ready"
  printf 'predictor: installed in %d s\n' $((SECONDS - began)) >&2
fi
printf '%s\n' "$dest"
