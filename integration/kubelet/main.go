// kubelet is a stand-in for the kubelets of nodes that kwok plays: none can run here, as they want
// a container runtime and cgroups of their own. One process answers for every node of a fleet.
//
// It serves what a kubelet serves on its port, over HTTPS:
//
//	/nodes/{node}/metrics/resource              CPU and memory, as metrics-server scrapes them
//	/exec/{namespace}/{pod}/{container}         over k8s.io/cri-streaming, the kubelet's own server
//	/attach/{namespace}/{pod}/{container}
//	/portForward/{namespace}/{pod}
//	/containerLogs/{namespace}/{pod}/{container}
//
// The first path is in each node's annotation metrics.k8s.io/resource-metrics-path, and the port in
// its status.daemonEndpoints. What a node uses is told over plain HTTP on the control port:
// control.go.
//
// The streams are real, the containers are not. What exec runs is a process of this machine, with
// this machine's files: it begins in the pod's own empty folder, so paths in tests are relative, and
// finds its container's log in $LOG. The main process of every container copies what is attached to
// its stdin into its log; its stdout is the log. A forwarded port is that port of 127.0.0.1. Who asks
// is not looked at: only API servers of tests know the port.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:10250", "where kubelets are asked (HTTPS)")
	control := flag.String("control", "127.0.0.1:10248", "where tests say what nodes use (HTTP)")
	cert := flag.String("tls-cert", "", "the serving certificate, PEM")
	key := flag.String("tls-key", "", "its key, PEM")
	folder := flag.String("folder", ".", "where the files of pods are")
	flag.Parse()

	nodes := newNodes(time.Now)
	kubelet := http.NewServeMux()
	kubelet.HandleFunc("GET /nodes/{node}/metrics/resource", nodes.serveResource)
	pods, err := newPods(*folder)
	if err != nil {
		log.Fatal(err)
	}
	pods.serve(kubelet)
	orders := http.NewServeMux()
	orders.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	orders.HandleFunc("PUT /nodes", nodes.serveSet)
	orders.HandleFunc("GET /nodes", nodes.serveShow)
	orders.HandleFunc("GET /streams", pods.serveOpen)

	go func() { log.Fatal(server(*control, orders).ListenAndServe()) }()
	log.Fatal(server(*listen, kubelet).ListenAndServeTLS(*cert, *key))
}

func server(address string, handler http.Handler) *http.Server {
	return &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
}
