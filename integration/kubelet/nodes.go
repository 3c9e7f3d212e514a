package main

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// usage is what a test says of a node.
type usage struct {
	// CPU in billionths of a core, as a Quantity's suffix n says it.
	CPU uint64 `json:"cpuNanoCores"`
	// Memory in bytes; metrics-server leaves out a node that uses none.
	Memory uint64 `json:"memoryBytes"`
	// Frozen serves the last sample with its old timestamp again and again.
	Frozen bool `json:"frozen,omitempty"`
	// Broken answers 500, as a kubelet in trouble does.
	Broken bool `json:"broken,omitempty"`
	// Pods are what the node's pods use.
	Pods []podUsage `json:"pods,omitempty"`
}

// podUsage is what a test says of a pod, which has one container.
type podUsage struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container"`
	CPU       uint64 `json:"cpuNanoCores"`
	Memory    uint64 `json:"memoryBytes"`
}

// node is a usage and the sample that was served last.
type node struct {
	usage
	// Nanoseconds of CPU time used so far.
	counter uint64
	// When the counter was read, in Unix seconds.
	at int64
	// How often the node was asked.
	scrapes uint64
	// The counter of each pod, in the order of Pods.
	pods []uint64
}

// nodes are all nodes that were named so far, at most maxNodes.
type nodes struct {
	now  func() time.Time
	lock sync.Mutex
	all  map[string]*node
}

const maxNodes = 20_000

func newNodes(now func() time.Time) *nodes {
	return &nodes{now: now, all: map[string]*node{}}
}

// sample moves the counter of a node to now and returns it.
//
// metrics-server divides the growth of the counter by the time between two samples. So the counter
// grows, whenever it is asked, by what the node uses at this moment times the seconds since it was
// asked last: the rate is the usage that was set last, whatever it was before, to the nanocore.
// Whole seconds keep the division exact.
func (n *nodes) sample(name string) (node, bool) {
	n.lock.Lock()
	defer n.lock.Unlock()
	found := n.entry(name)
	if found == nil {
		return node{}, false
	}
	found.scrapes++
	if now := n.now().Unix(); !found.Frozen && now > found.at {
		for i, pod := range found.Pods {
			found.pods[i] += pod.CPU * uint64(now-found.at)
		}
		found.counter += found.CPU * uint64(now-found.at)
		found.at = now
	}
	sample := *found
	sample.pods = slices.Clone(found.pods)
	return sample, true
}

// entry is the node of this name; a new one uses 1 GiB and no CPU. It is nil when there are too many.
func (n *nodes) entry(name string) *node {
	if n.all[name] == nil && len(n.all) < maxNodes {
		// A counter of zero would be an incomplete sample to metrics-server.
		n.all[name] = &node{usage{Memory: 1 << 30}, uint64(time.Second), n.now().Unix(), 0, nil}
	}
	return n.all[name]
}

func (n *nodes) set(usages map[string]usage) error {
	n.lock.Lock()
	defer n.lock.Unlock()
	for name, usage := range usages {
		found := n.entry(name)
		if found == nil {
			return fmt.Errorf("more than %d nodes", maxNodes)
		}
		found.usage = usage
		// As the node's own, the counters do not begin at zero.
		found.pods = slices.Repeat([]uint64{uint64(time.Second)}, len(usage.Pods))
	}
	return nil
}

func (n *nodes) serveResource(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("node")
	sample, found := n.sample(name)
	switch {
	case !found:
		http.Error(w, "too many nodes: "+name, http.StatusInsufficientStorage)
	case sample.Broken:
		http.Error(w, "told to be broken", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(sample.exposition())
	}
}

// exposition is the sample in Prometheus' text format, with the names that the kubelet uses.
func (n node) exposition() []byte {
	millis := n.at * 1000
	cpu := strconv.FormatFloat(seconds(n.counter), 'f', -1, 64)
	text := fmt.Appendf(nil, `# HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the node in core-seconds
# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total %s %d
# HELP node_memory_working_set_bytes [STABLE] Current working set of the node in bytes
# TYPE node_memory_working_set_bytes gauge
node_memory_working_set_bytes %d %d
`, cpu, millis, n.Memory, millis)
	for i, pod := range n.Pods {
		labels := fmt.Sprintf("container=%q,namespace=%q,pod=%q", pod.Container, pod.Namespace, pod.Pod)
		cpu := strconv.FormatFloat(seconds(n.pods[i]), 'f', -1, 64)
		text = fmt.Appendf(text, "container_cpu_usage_seconds_total{%s} %s %d\n", labels, cpu, millis)
		text = fmt.Appendf(text, "container_memory_working_set_bytes{%s} %d %d\n", labels, pod.Memory, millis)
	}
	return text
}

// seconds is the least float64 that metrics-server's uint64(seconds * 1e9) turns into nanos again.
func seconds(nanos uint64) float64 {
	value := float64(nanos) / 1e9
	for uint64(value*1e9) < nanos {
		value = math.Nextafter(value, math.Inf(1))
	}
	return value
}
