#!/usr/bin/env bash
# make demo: three real clusters on this machine, their sensors and a power model, a tenbin for each,
# and what that looks like. ONCE=1 takes everything down at the end. `make demo-down` does it later.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { # prints a command and runs it
  printf '\n$ %s\n' "$*"
  "$@"
}

bin=$(integration/control-plane/build.sh)
integration/predictor/build.sh >/dev/null
say "Building tenbin"
cargo build -p tenbin -p tenbin-integration --bins
tenbin=$PWD/target/debug/tenbin
fleet=$PWD/target/debug/tenbin-fleet
demo=$PWD/build/demo
PATH=$bin:$PATH

"$fleet" down
[ -z "${ONCE:-}" ] || trap '"$fleet" down' EXIT

say "Starting tokyo, osaka and nagoya: etcd, API server, controllers, kwok, metrics-server, sensors; a predictor"
echo "(metrics-server knows nothing before its second look, after 15 s)"
began=$SECONDS
"$fleet" up --detach --daemon
echo "up and measured after $((SECONDS - began)) s"
export KUBECONFIG=$demo/tenbin.kubeconfig

say "You are demo, an ordinary user: each cluster's own RBAC says what you may do there"
show kubectl auth whoami

say "One API server, the nodes of three clusters"
show kubectl get nodes

say "What they draw, by their CPU, inlet temperature, pressure and the power models of their machines"
show kubectl get clusterscores -n wao-system
show "$tenbin" scores --config "$demo/tenbin-tokyo/config.toml"

say "Ten replicas of 4 cores each, divided so that they add the fewest watts"
cat >"$demo/web.yaml" <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 10
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx, resources: {requests: {cpu: "4"}}}
EOF
show kubectl apply -f "$demo/web.yaml"
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
kubectl get pods -w                            # and what happens in it, while you scale in another terminal
kubectl exec -it deployment/web -- sh          # in whichever cluster has the pod; logs, cp, port-forward too
kubectl get clusterscores -n wao-system -o wide # osaka is not Ready any more
kubectl scale deployment web --replicas=20     # divided anew
kubectl get deployments -l tenbin/cluster      # one row for each cluster
kubectl annotate deployment web tenbin/strategy=inverse --overwrite
kubectl scale deployment web --replicas=10     # by 1/watts of whole clusters instead
$fleet heal    # osaka comes back
export KUBECONFIG=$demo/tenbin-nagoya.kubeconfig  # the same fleet, by way of nagoya's tenbin
kubectl delete clusterscore osaka -n wao-system   # nagoya's tenbin lets osaka go
less $demo/tenbin-tokyo/tenbin.log
make demo-down                                 # ends everything
EOF
