package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTheRateBetweenTwoSamplesIsTheUsageSetLast(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_700_000_000, 0)
	nodes := newNodes(func() time.Time { return now })
	if err := nodes.set(map[string]usage{"n": {CPU: 1}}); err != nil {
		t.Fatal(err)
	}
	last, _ := nodes.sample("n")
	for range 20_000 {
		cpu := random.Uint64N(64e9)
		if err := nodes.set(map[string]usage{"n": {CPU: cpu}}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second + time.Duration(random.Int64N(int64(14*time.Second))))
		next, _ := nodes.sample("n")
		// As metrics-server computes it (pkg/storage/types.go), after its parser.
		read := func(n node) uint64 { return uint64(seconds(n.counter) * 1e9) }
		window := time.Duration(next.at-last.at) * time.Second
		if rate := uint64(float64(read(next)-read(last)) / window.Seconds()); rate != cpu {
			t.Fatalf("%d nanocores, not %d", rate, cpu)
		}
		last = next
	}
}

func TestAFrozenNodeKeepsItsTimestamp(t *testing.T) {
	now := time.Unix(100, 0)
	nodes := newNodes(func() time.Time { return now })
	_ = nodes.set(map[string]usage{"n": {CPU: 1e9, Frozen: true}})
	now = now.Add(time.Minute)
	if sample, _ := nodes.sample("n"); sample.at != 100 {
		t.Fatal(sample.at)
	}
}
