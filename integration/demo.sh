#!/usr/bin/env bash
# make demo: three real clusters on this machine, tenbin before them, and what that looks like.
# ONCE=1 takes everything down at the end. `make demo-down` does it later.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { # prints a command and runs it
  printf '\n$ %s\n' "$*"
  "$@"
}

bin=$(integration/control-plane/build.sh)
say "Building tenbin"
cargo build -p tenbin -p tenbin-integration --bins
fleet=$PWD/target/debug/tenbin-fleet
demo=$PWD/build/demo
PATH=$bin:$PATH

"$fleet" down
[ -z "${ONCE:-}" ] || trap '"$fleet" down' EXIT

say "Starting tokyo (100 W, own), osaka (200 W), nagoya (300 W): etcd, API server, controllers, kwok"
began=$SECONDS
"$fleet" up --detach --daemon
echo "up after $((SECONDS - began)) s"
export KUBECONFIG=$demo/tenbin.kubeconfig

say "You are demo, an ordinary user: each cluster's own RBAC says what you may do there"
show kubectl auth whoami

say "One API server, the nodes of three clusters"
show kubectl get nodes

say "Ten replicas, divided by the watts they cost"
show kubectl create deployment web --image=nginx --replicas=10
ready_of_ten() { kubectl get deployment web -o jsonpath='{.status.readyReplicas}'; }
deadline=$((SECONDS + 60))
until [ "$(ready_of_ten)" = 10 ] || [ $SECONDS -ge $deadline ]; do sleep 0.2; done
show kubectl get deployments
show kubectl get pods

say "The same, asked of each cluster alone"
for cluster in tokyo osaka nagoya; do
  show kubectl --kubeconfig "$demo/$cluster.kubeconfig" get deployment web
done

say "osaka's API server dies"
show kill -9 "$(cat "$demo/osaka/kube-apiserver.pid")"
show kubectl get deployments
show kubectl get nodes

[ -z "${ONCE:-}" ] || exit 0
say "It stays up. To go on:"
cat <<EOF
export KUBECONFIG=$KUBECONFIG
kubectl get pods -A                            # the whole fleet
kubectl scale deployment web --replicas=20     # divided anew
kubectl get deployments -l tenbin/cluster      # one row for each cluster
$fleet heal    # osaka comes back
less $demo/tenbin/tenbin.log
make demo-down                                 # ends everything
EOF
