package main

import (
	"context"
	"net/http"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"

	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// sensors are the values of the test-adapter's provider, of which some are dead.
type sensors struct {
	provider.CustomMetricsProvider
	lock sync.Mutex
	// Whether a timestamp is the time of the query.
	queried bool
	// Whether one dead sensor fails a query for all nodes, as it does in WAO's adapter.
	strict bool
	// Metrics of objects that were deleted and not written since, as node/metric.
	dead map[string]bool
}

func newSensors(values provider.CustomMetricsProvider) *sensors {
	return &sensors{CustomMetricsProvider: values, queried: true, dead: map[string]bool{}}
}

// handler is the port of the tests: what it does not know itself goes to writes.
func (s *sensors) handler(writes http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	for path, set := range map[string]func(){
		"PUT /timestamps/queried": func() { s.queried = true },
		"PUT /timestamps/written": func() { s.queried = false },
		"PUT /selectors/strict":   func() { s.strict = true },
		"PUT /selectors/lenient":  func() { s.strict = false },
	} {
		mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) {
			s.lock.Lock()
			defer s.lock.Unlock()
			set()
		})
	}
	mux.HandleFunc("DELETE /write-metrics/nodes/{node}/{metric}", func(_ http.ResponseWriter, r *http.Request) {
		s.mark(sensor(r), true)
	})
	mux.HandleFunc("POST /write-metrics/nodes/{node}/{metric}", func(w http.ResponseWriter, r *http.Request) {
		sensor := sensor(r) // before writes has path values of its own
		writes.ServeHTTP(w, r)
		s.mark(sensor, false)
	})
	return mux
}

// sensor is the node and the metric of a request's path.
func sensor(r *http.Request) string { return r.PathValue("node") + "/" + r.PathValue("metric") }

func (s *sensors) mark(sensor string, dead bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.dead[sensor] = dead
}

func (s *sensors) isStrict() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.strict
}

// stamped is the value as tests want it served; nil when its sensor is dead.
func (s *sensors) stamped(value *custom_metrics.MetricValue) *custom_metrics.MetricValue {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.dead[value.DescribedObject.Name+"/"+value.Metric.Name] {
		return nil
	}
	if s.queried {
		value.Timestamp = metav1.Now()
	}
	return value
}

func (s *sensors) GetMetricByName(ctx context.Context, name types.NamespacedName, info provider.CustomMetricInfo, selector labels.Selector) (*custom_metrics.MetricValue, error) {
	value, err := s.CustomMetricsProvider.GetMetricByName(ctx, name, info, selector)
	if err != nil {
		return nil, err
	}
	if value = s.stamped(value); value == nil {
		return nil, provider.NewMetricNotFoundForError(info.GroupResource, info.Metric, name.Name)
	}
	return value, nil
}

func (s *sensors) GetMetricBySelector(ctx context.Context, namespace string, selector labels.Selector, info provider.CustomMetricInfo, metrics labels.Selector) (*custom_metrics.MetricValueList, error) {
	values, err := s.CustomMetricsProvider.GetMetricBySelector(ctx, namespace, selector, info, metrics)
	if err != nil {
		return nil, err
	}
	alive := values.Items[:0]
	for i := range values.Items {
		value := s.stamped(&values.Items[i])
		switch {
		case value != nil:
			alive = append(alive, *value)
		case s.isStrict():
			return nil, provider.NewMetricNotFoundError(info.GroupResource, info.Metric)
		}
	}
	values.Items = alive
	return values, nil
}
