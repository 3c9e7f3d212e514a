// The kubelet stand-in: see main.go.
module tenbin/integration/kubelet

go 1.26.0
