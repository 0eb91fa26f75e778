// SPDX-License-Identifier: Apache-2.0

// etcd drives etcd with its own Go client, the way bench/kv drives ours.
//
//	etcd put|get|stale ENDPOINTS CLIENTS CONNECTIONS SECONDS SIZE   one at a time by each client
//	etcd fill ENDPOINTS KEYS SIZE                                   KEYS keys, 64 clients
//	etcd gap ENDPOINTS SECONDS                                      the longest time between two acknowledged puts
//	etcd snapshot ENDPOINTS FILE                                    written to a file, and synced
//
// ENDPOINTS are host:port, comma-separated; the leader is asked, but by gap,
// which asks all of them.  It prints name=value pairs.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const keySpace = 10000

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "etcd: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func number(i int) int {
	if i >= len(os.Args) {
		must(fmt.Errorf("argument %d is missing", i), "usage")
	}
	n, err := strconv.Atoi(os.Args[i])
	must(err, "a number")
	return n
}

func dial(endpoints []string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints,
		DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	must(err, "connect")
	return client
}

func leader(endpoints []string) []string {
	client := dial(endpoints)
	defer client.Close()
	for _, endpoint := range endpoints {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		status, err := client.Status(ctx, endpoint)
		cancel()
		if err == nil && status.Header.MemberId == status.Leader {
			return []string{endpoint}
		}
	}
	must(fmt.Errorf("no leader among %v", endpoints), "look for it")
	return nil
}

func key(n int) string { return fmt.Sprintf("key-%012d", n) }

type worker struct {
	client  *clientv3.Client
	random  *rand.Rand
	value   string
	samples []time.Duration
}

func (w *worker) once(op string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	k := key(w.random.Intn(keySpace))
	var err error
	switch op {
	case "put":
		_, err = w.client.Put(ctx, k, w.value)
	case "get":
		_, err = w.client.Get(ctx, k)
	default:
		_, err = w.client.Get(ctx, k, clientv3.WithSerializable())
	}
	return err
}

func run(op string, endpoints []string, clients, connections, seconds, size int) {
	at := leader(endpoints)
	pool := make([]*clientv3.Client, connections)
	for i := range pool {
		pool[i] = dial(at)
	}
	workers := make([]*worker, clients)
	var wait sync.WaitGroup
	begin := time.Now().Add(300 * time.Millisecond)
	end := begin.Add(time.Duration(seconds) * time.Second)
	for i := range workers {
		w := &worker{client: pool[i%connections], random: rand.New(rand.NewSource(int64(i))),
			value: strings.Repeat("v", size)}
		workers[i] = w
		wait.Add(1)
		go func() {
			defer wait.Done()
			for start := time.Now(); start.Before(end); {
				must(w.once(op), op)
				now := time.Now()
				if start.After(begin) {
					w.samples = append(w.samples, now.Sub(start))
				}
				start = now
			}
		}()
	}
	wait.Wait()
	var all []time.Duration
	for _, w := range workers {
		all = append(all, w.samples...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	micro := func(p float64) float64 { return float64(all[int(p*float64(len(all)-1))]) / 1e3 }
	fmt.Printf("ops=%d ops_s=%.0f p50_us=%.0f p99_us=%.0f\n", len(all),
		float64(len(all))/time.Since(begin).Seconds(), micro(0.5), micro(0.99))
}

func fill(endpoints []string, keys, size int) {
	client := dial(leader(endpoints))
	value := strings.Repeat("v", size)
	var next atomic.Int64
	var wait sync.WaitGroup
	began := time.Now()
	for i := 0; i < 64; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			/* 100 keys a transaction: the most that fits is 128. */
			for n := int(next.Add(100)) - 100; n < keys; n = int(next.Add(100)) - 100 {
				var ops []clientv3.Op
				for k := n; k < n+100 && k < keys; k++ {
					ops = append(ops, clientv3.OpPut(key(k), value))
				}
				_, err := client.Txn(context.Background()).Then(ops...).Commit()
				must(err, "txn")
			}
		}()
	}
	wait.Wait()
	fmt.Printf("keys=%d s=%.2f\n", keys, time.Since(began).Seconds())
}

func gap(endpoints []string, seconds int) {
	client := dial(endpoints)
	var last, longest, acknowledged atomic.Int64
	var lock sync.Mutex
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	last.Store(time.Now().UnixNano())
	var wait sync.WaitGroup
	for i := 0; i < 16; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			for time.Now().Before(end) {
				ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
				_, err := client.Put(ctx, key(i), "v")
				cancel()
				if err != nil {
					continue
				}
				acknowledged.Add(1)
				lock.Lock()
				now := time.Now().UnixNano()
				if now-last.Load() > longest.Load() {
					longest.Store(now - last.Load())
				}
				last.Store(now)
				lock.Unlock()
			}
		}(i)
	}
	wait.Wait()
	fmt.Printf("acknowledged=%d gap_ms=%.0f\n", acknowledged.Load(), float64(longest.Load())/1e6)
}

func snapshot(endpoints []string, path string) {
	began := time.Now()
	from, err := dial(leader(endpoints)).Snapshot(context.Background())
	must(err, "snapshot")
	to, err := os.Create(path)
	must(err, path)
	_, err = io.Copy(to, from)
	must(err, path)
	must(to.Sync(), path)
	fmt.Printf("s=%.2f\n", time.Since(began).Seconds())
}

func main() {
	if len(os.Args) < 3 {
		must(fmt.Errorf("etcd put|get|stale|fill|gap|snapshot ENDPOINTS ..."), "usage")
	}
	endpoints := strings.Split(os.Args[2], ",")
	switch op := os.Args[1]; op {
	case "put", "get", "stale":
		run(op, endpoints, number(3), number(4), number(5), number(6))
	case "fill":
		fill(endpoints, number(3), number(4))
	case "snapshot":
		if len(os.Args) != 4 {
			must(fmt.Errorf("the file is missing"), "usage")
		}
		snapshot(endpoints, os.Args[3])
	case "gap":
		gap(endpoints, number(3))
	default:
		must(fmt.Errorf("there is no %q", op), "usage")
	}
}
