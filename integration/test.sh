#!/usr/bin/env bash
# test.sh: the tests over real processes, two binaries at once since they wait more than they work.
# What one said is printed when it has ended, and kept in build/tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p build/tests
run() {
  local log=build/tests/$1.log code=0
  integration/step.sh "tests of $1" cargo test -p tenbin-integration --test "$1" >"$log" 2>&1 || code=$?
  cat "$log"
  return "$code"
}
export -f run
# The big ones are folders; they go first, so that none of them runs alone at the end.
find integration/tests -mindepth 1 -maxdepth 1 -printf '%y %f\n' | sort \
  | cut -d' ' -f2 | sed 's/\.rs$//' | xargs -P 2 -I{} bash -c 'run {}'
