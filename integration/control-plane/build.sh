#!/usr/bin/env bash
# Builds the real parts that tests and the demo run, once for each content of this folder.
#
#   build.sh            build what is missing, link build/control-plane to it, print the bin folder
#   build.sh --where    print the bin folder; exit 1 when something in it is missing
#
# TENBIN_CACHE        where the results live (default ~/.cache/tenbin)
# KUBEBUILDER_ASSETS  a folder whose kube-apiserver, etcd and kubectl are used instead of built
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
older=$here/../kubectl-1.32
root=$(cd "$here/../.." && pwd)
key=$(cat "$here"/{go.mod,go.sum,build.sh} "$older"/{go.mod,go.sum} | sha256sum | cut -c1-16)
dest=${TENBIN_CACHE:-$HOME/.cache/tenbin}/control-plane/$key
bin=$dest/bin

# name | module folder | package
tools="
kube-apiserver|$here|k8s.io/kubernetes/cmd/kube-apiserver
etcd|$here|go.etcd.io/etcd/server/v3
kube-controller-manager|$here|k8s.io/kubernetes/cmd/kube-controller-manager
kube-scheduler|$here|k8s.io/kubernetes/cmd/kube-scheduler
kubectl|$here|k8s.io/kubernetes/cmd/kubectl
kwok|$here|sigs.k8s.io/kwok/cmd/kwok
kubectl-1.32|$older|k8s.io/kubernetes/cmd/kubectl
"
stages="node/fast/node-initialize.yaml node/heartbeat-with-lease/node-heartbeat-with-lease.yaml
pod/fast/pod-ready.yaml pod/fast/pod-complete.yaml pod/fast/pod-delete.yaml"

say() { printf '%s\n' "$*" >&2; }

given() { # the tools that KUBEBUILDER_ASSETS provides
  case $1 in kube-apiserver | etcd | kubectl) [ -x "${KUBEBUILDER_ASSETS:-/nowhere}/$1" ] ;; *) false ;; esac
}

missing() {
  local name rest
  while IFS='|' read -r name rest; do
    [ -z "$name" ] || [ -x "$bin/$name" ] || given "$name" || printf '%s\n' "$name"
  done <<<"$tools"
  [ -d "$dest/stages" ] || printf 'stages\n'
}

stamp() { # linker flags that give a tool its version, read from the pinned go.mod
  local version major minor package flags="-s -w"
  version=$(cd "$1" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"${version#v}"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major"
    flags+=" -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
  done
  printf '%s' "$flags"
}

build() { # a finished binary moves in whole, so an interrupted build resumes where it stopped
  local name=$1 folder=$2 package=$3 began=$SECONDS
  say "  building $name ..."
  (cd "$folder" && CGO_ENABLED=0 GOWORK=off go build -mod=readonly -trimpath \
    -ldflags "$(stamp "$folder")" -o "$dest/.partial/$name" "$package") >&2
  mv "$dest/.partial/$name" "$bin/$name"
  say "  built $name in $((SECONDS - began)) s"
}

copy_stages() {
  local kwok stage
  kwok=$(cd "$here" && go mod download -json sigs.k8s.io/kwok >/dev/null &&
    go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
  rm -rf "$dest/.partial/stages" && mkdir -p "$dest/.partial/stages"
  for stage in $stages; do
    install -m 644 "$kwok/kustomize/stage/$stage" "$dest/.partial/stages/$(basename "$stage")"
  done
  mv -T "$dest/.partial/stages" "$dest/stages"
}

if [ "${1:-}" = --where ]; then
  printf '%s\n' "$bin"
  [ -z "$(missing)" ]
  exit
fi

began=$SECONDS
if [ -n "$(missing)" ]; then
  mkdir -p "$bin" "$dest/.partial"
  exec 9>"$dest/.lock"
  flock 9 # two checkouts may ask at once; the second finds the work done
  todo=$(missing)
  say "control plane: building $(wc -w <<<"$todo") parts into $dest (minutes when Go's cache is cold)"
  if [ -z "${todo##*stages*}" ]; then copy_stages; fi
  while IFS='|' read -r name folder package; do
    if [ -n "$name" ] && grep -qx -- "$name" <<<"$todo"; then build "$name" "$folder" "$package"; fi
  done <<<"$tools"
  say "control plane: built in $((SECONDS - began)) s"
fi
mkdir -p "$root/build" && ln -sfnT "$dest" "$root/build/control-plane"
printf '%s\n' "$bin"
