// informer is a client of the sort that most controllers are: a shared informer of client-go. Tests
// compare its store with the truth.
//
// It prints a JSON line for each event (added, modified, deleted) and for each request that it made
// (list, watch, watch-list: a watch that asked for the initial events). GET /store on --listen
// answers with everything that it holds and how many lines of each kind it has printed.
//
// client-go decides by the environment variable KUBE_FEATURE_WatchListClient whether it begins with
// a watch-list (its default) or with a list.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "where the API server is and who asks")
	group := flag.String("group", "", "the resource's group, empty for the core group")
	version := flag.String("version", "v1", "its version")
	resource := flag.String("resource", "configmaps", "its plural name")
	namespace := flag.String("namespace", "", "empty for all namespaces")
	listen := flag.String("listen", "127.0.0.1:0", "where GET /store and /healthz are answered (HTTP)")
	protobuf := flag.Bool("protobuf", true, "ask for protobuf before JSON, as typed clients do")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	if *protobuf {
		config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
		config.ContentType = "application/vnd.kubernetes.protobuf"
	}
	lines := newLines(time.Now)
	config.Wrap(lines.wrap)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(*namespace))
	informer, err := factory.ForResource(schema.GroupVersionResource{Group: *group, Version: *version, Resource: *resource})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := informer.Informer().AddEventHandler(handler(lines)); err != nil {
		log.Fatal(err)
	}

	orders := http.NewServeMux()
	orders.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	orders.HandleFunc("GET /store", func(w http.ResponseWriter, _ *http.Request) {
		serveStore(w, informer.Informer(), lines)
	})
	server := &http.Server{Addr: *listen, Handler: orders, ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Fatal(server.ListenAndServe()) }()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
}

// handler prints what an informer tells. A relist tells of everything again: what has not changed
// is no event.
func handler(lines *lines) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(it any) { lines.event("added", it) },
		UpdateFunc: func(old, it any) {
			if reference(old) != reference(it) {
				lines.event("modified", it)
			}
		},
		DeleteFunc: func(it any) {
			// Deleted while nobody watched: the store knows only how it was before.
			if unknown, ok := it.(cache.DeletedFinalStateUnknown); ok {
				it = unknown.Obj
			}
			lines.event("deleted", it)
		},
	}
}
