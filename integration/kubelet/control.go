package main

import (
	"encoding/json"
	"net/http"
)

// serveSet takes {"<node>": {"cpuNanoCores": …, "memoryBytes": …, "frozen": …, "broken": …, "pods": […]}, …};
// nodes that are not named stay as they are. The next scrape sees it.
func (n *nodes) serveSet(w http.ResponseWriter, r *http.Request) {
	var usages map[string]usage
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&usages); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := n.set(usages); err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// shown is a node as GET /nodes shows it.
type shown struct {
	usage
	Scrapes uint64 `json:"scrapes"`
}

// serveShow answers with every node, what it uses, and how often it was scraped.
func (n *nodes) serveShow(w http.ResponseWriter, _ *http.Request) {
	n.lock.Lock()
	all := make(map[string]shown, len(n.all))
	for name, node := range n.all {
		all[name] = shown{node.usage, node.scrapes}
	}
	n.lock.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all)
}
