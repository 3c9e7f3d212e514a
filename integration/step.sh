#!/usr/bin/env bash
# step.sh NAME COMMAND...: runs a step and says how long it took. STEPS names a file that collects
# the lines; `step.sh --sum` prints it and forgets it.
set -uo pipefail
log=${STEPS:-build/steps}
if [ "${1:-}" = --sum ]; then
  [ -f "$log" ] && { printf '\nwhere the time went\n'; cat "$log"; rm -f "$log"; }
  exit 0
fi
name=$1
shift
printf '==> %s\n' "$name"
began=$SECONDS
"$@"
code=$?
mkdir -p "$(dirname "$log")"
verdict=ok
[ $code -eq 0 ] || verdict="failed ($code)"
printf '%6d s  %-9s %s\n' $((SECONDS - began)) "$verdict" "$name" | tee -a "$log"
exit $code
