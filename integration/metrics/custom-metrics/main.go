// custom-metrics is sigs.k8s.io/custom-metrics-apiserver's test-adapter with its own provider, and
// what tests ask of it beside, for which alone it has a main of ours:
//
//   - the port on which tests write values is a flag (there it is always 8080 of every address);
//   - a value's timestamp is the time of the query, as WAO's adapter has it, until a test asks for
//     the time of its writing with PUT /timestamps/written (PUT /timestamps/queried goes back);
//   - DELETE /write-metrics/… of the same path as a POST forgets a value, as a sensor that died;
//   - PUT /selectors/strict: a query for all nodes fails when one sensor is dead, as in WAO's
//     adapter; PUT /selectors/lenient (so at first) leaves the dead one out.
//
// Values: POST /write-metrics/nodes/{node}/{metric} with a Quantity as JSON, "15500m".
package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/component-base/logs"
	"k8s.io/klog/v2"

	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	fakeprov "sigs.k8s.io/custom-metrics-apiserver/test-adapter/provider"
)

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()

	adapter := &basecmd.AdapterBase{Name: "custom-metrics"}
	write := adapter.Flags().String("write-address", "127.0.0.1:8080", "where values are written")
	if err := adapter.Flags().Parse(os.Args); err != nil {
		klog.Fatalf("parsing flags: %v", err)
	}
	client, err := adapter.DynamicClient()
	if err != nil {
		klog.Fatalf("making a client: %v", err)
	}
	mapper, err := adapter.RESTMapper()
	if err != nil {
		klog.Fatalf("making a mapper: %v", err)
	}

	values, service := fakeprov.NewFakeProvider(client, mapper)
	sensors := newSensors(values)
	adapter.WithCustomMetrics(sensors)
	writes := restful.NewContainer()
	writes.Add(service)
	go func() {
		server := &http.Server{Addr: *write, Handler: sensors.handler(writes), ReadHeaderTimeout: 3 * time.Second}
		klog.Fatal(server.ListenAndServe())
	}()
	if err := adapter.Run(context.Background()); err != nil {
		klog.Fatalf("running: %v", err)
	}
}
