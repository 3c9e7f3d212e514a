#!/usr/bin/env bash
# Builds the real parts that tests and the demo run, once for each content of this folder, and has
# those in Python installed (../predictor/build.sh).
#
#   build.sh            build what is missing, link build/control-plane to it, print the bin folder
#   build.sh --where    print the bin folder; exit 1 when something in it is missing
#
# TENBIN_CACHE        where the results live (default ~/.cache/tenbin)
# KUBEBUILDER_ASSETS  a folder whose kube-apiserver, etcd and kubectl are used instead of built
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
older=$here/../kubectl-1.32
oldest=$here/../kubectl-1.29
helm=$here/../helm
informer=$here/../informer
metrics=$here/../metrics
kubelet=$here/../kubelet
folders=("$here" "$older" "$oldest" "$helm" "$informer" "$metrics" "$kubelet")
root=$(cd "$here/../.." && pwd)

sources() { # everything that go build reads in these module folders
  local folder
  for folder in "$@"; do
    (cd "$folder" && find . -name 'go.*' -o -name '*.go' | LC_ALL=C sort | xargs cat)
  done
}
hash() { sha256sum | cut -c1-16; }

cache=${TENBIN_CACHE:-$HOME/.cache/tenbin}
dest=$cache/control-plane/$({ sources "${folders[@]}"; cat "$here/build.sh"; } | hash)
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
kubectl-1.29|$oldest|k8s.io/kubernetes/cmd/kubectl
helm|$helm|helm.sh/helm/v3/cmd/helm
informer|$informer|.
metrics-server|$metrics|sigs.k8s.io/metrics-server/cmd/metrics-server
custom-metrics|$metrics|./custom-metrics
kubelet|$kubelet|.
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

stamp() { # linker flags that give a part of Kubernetes its version, read from the pinned go.mod
  local version major minor package flags="-s -w"
  version=$(cd "$1" && go list -m -f '{{.Version}}' k8s.io/kubernetes 2>/dev/null) || version=
  if [ -z "$version" ]; then
    printf '%s' "$flags"
    return
  fi
  IFS=. read -r major minor _ <<<"${version#v}"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major"
    flags+=" -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
  done
  printf '%s' "$flags"
}

# A part is built once for each content of its module folder, whatever becomes of the others: the
# bin folder holds hard links. A finished binary moves in whole, so an interrupted build resumes.
build() {
  local name=$1 folder=$2 package=$3 began=$SECONDS flags part
  flags=$(stamp "$folder")
  part=$cache/parts/$name-$({ sources "$folder"; printf '%s %s' "$package" "$flags"; } | hash)
  if [ ! -x "$part" ]; then
    say "  building $name ..."
    (cd "$folder" && CGO_ENABLED=0 GOWORK=off go build -mod=readonly -trimpath \
      -ldflags "$flags" -o "$part.partial" "$package") >&2
    mv "$part.partial" "$part"
    say "  built $name in $((SECONDS - began)) s"
  fi
  ln -f "$part" "$bin/$name"
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
  mkdir -p "$bin" "$dest/.partial" "$cache/parts"
  exec 9>"$cache/.lock"
  flock 9 # two checkouts may ask at once; the second finds the work done
  todo=$(missing)
  say "control plane: $(wc -w <<<"$todo") parts into $dest (minutes when Go's cache is cold)"
  if [ -z "${todo##*stages*}" ]; then copy_stages; fi
  while IFS='|' read -r name folder package; do
    if [ -n "$name" ] && grep -qx -- "$name" <<<"$todo"; then build "$name" "$folder" "$package"; fi
  done <<<"$tools"
  say "control plane: built in $((SECONDS - began)) s"
fi
"$here/../predictor/build.sh" >/dev/null
mkdir -p "$root/build" && ln -sfnT "$dest" "$root/build/control-plane"
printf '%s\n' "$bin"
