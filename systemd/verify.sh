#!/bin/bash
# Whether systemd takes the unit. The binary need not be installed for it: /bin/true stands in.
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed 's|^ExecStart=/usr/local/bin/tenbin|ExecStart=/bin/true|' tenbin.service >"$folder/tenbin.service"
# An unknown key is a warning with exit code 0: any word at all is a failure.
said=$(systemd-analyze verify --man=no "$folder/tenbin.service" 2>&1) || { echo "$said"; exit 1; }
if [ -n "$said" ]; then echo "$said"; exit 1; fi
systemd-analyze security --offline=yes --threshold=20 "$folder/tenbin.service" | tail -n 1
