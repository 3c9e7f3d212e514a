package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/cache"
)

// object is what an informer's store is compared by.
type object struct {
	Key     string `json:"key"`
	UID     string `json:"uid"`
	Version string `json:"resourceVersion"`
}

func reference(it any) object {
	accessor, err := meta.Accessor(it)
	if err != nil {
		return object{Key: err.Error()}
	}
	key, _ := cache.MetaNamespaceKeyFunc(it)
	return object{key, string(accessor.GetUID()), accessor.GetResourceVersion()}
}

// lines prints JSON lines and counts them by their kind.
type lines struct {
	now    func() time.Time
	lock   sync.Mutex
	out    *json.Encoder
	counts map[string]uint64
}

func newLines(now func() time.Time) *lines {
	return &lines{now: now, out: json.NewEncoder(os.Stdout), counts: map[string]uint64{}}
}

func (l *lines) event(kind string, it any) {
	l.print(kind, struct {
		At    int64  `json:"at"` // Unix nanoseconds
		Event string `json:"event"`
		object
	}{l.now().UnixNano(), kind, reference(it)})
}

func (l *lines) print(kind string, line any) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.counts[kind]++
	_ = l.out.Encode(line)
}

// wrap has each request of a client printed, with the status of its answer (0 when there was none).
func (l *lines) wrap(inner http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		answer, err := inner.RoundTrip(request)
		line := struct {
			At      int64  `json:"at"`
			Request string `json:"request"`
			Query   string `json:"query"`
			Status  int    `json:"status"`
		}{At: l.now().UnixNano(), Request: kindOf(request), Query: request.URL.RawQuery}
		if err == nil {
			line.Status = answer.StatusCode
		}
		l.print(line.Request, line)
		return answer, err
	})
}

func kindOf(request *http.Request) string {
	query := request.URL.Query()
	switch {
	case query.Get("watch") == "":
		return "list"
	case query.Get("sendInitialEvents") == "true":
		return "watch-list"
	default:
		return "watch"
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// serveStore answers with the store, sorted by key, and how many lines of each kind were printed.
func serveStore(w http.ResponseWriter, informer cache.SharedIndexInformer, lines *lines) {
	items := []object{}
	for _, it := range informer.GetStore().List() {
		items = append(items, reference(it))
	}
	slices.SortFunc(items, func(a, b object) int { return strings.Compare(a.Key, b.Key) })
	lines.lock.Lock()
	counts := maps.Clone(lines.counts)
	lines.lock.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct {
		Synced  bool              `json:"synced"`
		Version string            `json:"resourceVersion"` // the last that the reflector saw
		Counts  map[string]uint64 `json:"counts"`
		Items   []object          `json:"items"`
	}{informer.HasSynced(), informer.LastSyncResourceVersion(), counts, items})
}
