// kubelet is a stand-in for the kubelets of nodes that kwok plays: none can run here, as they want
// a container runtime and cgroups of their own. One process answers for every node of a fleet.
//
// It serves what a kubelet serves on its port, over HTTPS:
//
//	/nodes/{node}/metrics/resource   CPU and memory, as metrics-server scrapes them
//
// The path is in each node's annotation metrics.k8s.io/resource-metrics-path, and the port in its
// status.daemonEndpoints. What a node uses is told over plain HTTP on the control port: control.go.
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
	flag.Parse()

	nodes := newNodes(time.Now)
	kubelet := http.NewServeMux()
	kubelet.HandleFunc("GET /nodes/{node}/metrics/resource", nodes.serveResource)
	orders := http.NewServeMux()
	orders.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	orders.HandleFunc("PUT /nodes", nodes.serveSet)
	orders.HandleFunc("GET /nodes", nodes.serveShow)

	go func() { log.Fatal(server(*control, orders).ListenAndServe()) }()
	log.Fatal(server(*listen, kubelet).ListenAndServeTLS(*cert, *key))
}

func server(address string, handler http.Handler) *http.Server {
	return &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
}
