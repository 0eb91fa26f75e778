// SPDX-License-Identifier: Apache-2.0

// porcupine judges whether a history of a key-value store is linearizable,
// with the checker of that name.
//
//	usage: porcupine [-timeout TIME] [-html FILE] HISTORY
//
// A history has one operation a line, as JSON:
//
//	{"client":1,"op":"put","key":"k","value":"v","call":10,"return":20,"outcome":"ok"}
//
// op is get, put, delete, cas or txn; call and return are nanoseconds of one
// clock.  outcome is ok, failed (it has certainly not happened) or unknown (it
// may happen at any time after the call, or never).  A get has "found" and
// "got"; a cas has "expect" (absent: the key must not exist), "value", "done";
// a txn puts all of "keys" to "value" or nothing.
//
// Exit status: 0 linearizable, 1 not, 2 no such file or no such history, 3 not
// decided in time.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	exitLinearizable = iota
	exitNot
	exitUsage
	exitUndecided
)

// operation is one line of a history.
type operation struct {
	Client  int      `json:"client"`
	Op      string   `json:"op"`
	Key     string   `json:"key"`
	Keys    []string `json:"keys"`
	Value   string   `json:"value"`
	Expect  *string  `json:"expect"`
	Call    int64    `json:"call"`
	Return  int64    `json:"return"`
	Outcome string   `json:"outcome"`
	Found   bool     `json:"found"`
	Got     string   `json:"got"`
	Done    bool     `json:"done"`
}

func (o *operation) allKeys() []string {
	if o.Op == "txn" {
		return o.Keys
	}
	return []string{o.Key}
}

func (o *operation) check() error {
	switch o.Op {
	case "get", "put", "delete", "cas", "txn":
	default:
		return fmt.Errorf("there is no op %q", o.Op)
	}
	switch o.Outcome {
	case "ok", "failed", "unknown":
	default:
		return fmt.Errorf("there is no outcome %q", o.Outcome)
	}
	if o.Outcome == "ok" && o.Return < o.Call {
		return fmt.Errorf("it returned (%d) before it was called (%d)", o.Return, o.Call)
	}
	for _, key := range o.allKeys() {
		if key == "" {
			return fmt.Errorf("it has no key")
		}
	}
	if len(o.allKeys()) == 0 {
		return fmt.Errorf("it has no key")
	}
	return nil
}

// readHistory leaves out what says nothing: operations that have certainly not
// happened, and reads without an answer.
func readHistory(in io.Reader) ([]*operation, error) {
	var history []*operation
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), 1<<24)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		op := &operation{}
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		if err := decoder.Decode(op); err != nil {
			return nil, fmt.Errorf("line %d: %v", n, err)
		}
		if err := op.check(); err != nil {
			return nil, fmt.Errorf("line %d: %v", n, err)
		}
		if op.Outcome == "failed" || (op.Outcome == "unknown" && op.Op == "get") {
			continue
		}
		history = append(history, op)
	}
	return history, lines.Err()
}

// state is the values of the keys of one partition.  It is never changed, only
// replaced.
type state map[string]string

func (s state) with(keys []string, value *string) state {
	next := make(state, len(s)+1)
	for k, v := range s {
		next[k] = v
	}
	for _, k := range keys {
		if value == nil {
			delete(next, k)
		} else {
			next[k] = *value
		}
	}
	return next
}

func (s state) String() string {
	parts := make([]string, 0, len(s))
	for k, v := range s {
		parts = append(parts, k+"="+v)
	}
	sort.Strings(parts)
	return "{" + strings.Join(parts, " ") + "}"
}

func equal(a, b interface{}) bool {
	left, right := a.(state), b.(state)
	if len(left) != len(right) {
		return false
	}
	for k, v := range left {
		if other, there := right[k]; !there || other != v {
			return false
		}
	}
	return true
}

// step says whether an operation can have given its answer in this state, and
// what state it leaves.
func step(before, input, _ interface{}) (bool, interface{}) {
	s, op := before.(state), input.(*operation)
	value, there := s[op.Key]
	known := op.Outcome == "ok"
	switch op.Op {
	case "get":
		return there == op.Found && (!there || value == op.Got), s
	case "put", "txn":
		return true, s.with(op.allKeys(), &op.Value)
	case "delete":
		return !known || op.Done == there, s.with(op.allKeys(), nil)
	default: /* cas */
		matches := (op.Expect == nil && !there) || (op.Expect != nil && there && *op.Expect == value)
		if known && matches != op.Done {
			return false, s
		}
		if matches {
			return true, s.with(op.allKeys(), &op.Value)
		}
		return true, s
	}
}

func describe(input, _ interface{}) string {
	op := input.(*operation)
	text := op.Op + " " + strings.Join(op.allKeys(), ",")
	switch op.Op {
	case "get":
		if !op.Found {
			return text + " -> none"
		}
		return text + " -> " + op.Got
	case "cas":
		expect := "none"
		if op.Expect != nil {
			expect = *op.Expect
		}
		text += " " + expect + " to " + op.Value
	case "put", "txn":
		text += " = " + op.Value
	}
	if op.Outcome == "unknown" {
		return text + " -> ?"
	}
	if op.Op == "cas" || op.Op == "delete" {
		return fmt.Sprintf("%s -> %v", text, op.Done)
	}
	return text
}

// partition puts keys that a transaction touches together into one part: each
// part can be judged alone.
func partition(history []porcupine.Operation) [][]porcupine.Operation {
	parent := map[string]string{}
	var find func(key string) string
	find = func(key string) string {
		up, there := parent[key]
		if !there {
			parent[key] = key
			return key
		}
		if up == key {
			return key
		}
		root := find(up)
		parent[key] = root
		return root
	}
	for _, o := range history {
		keys := o.Input.(*operation).allKeys()
		for _, key := range keys {
			parent[find(key)] = find(keys[0])
		}
	}
	parts := map[string][]porcupine.Operation{}
	for _, o := range history {
		root := find(o.Input.(*operation).allKeys()[0])
		parts[root] = append(parts[root], o)
	}
	all := make([][]porcupine.Operation, 0, len(parts))
	for _, part := range parts {
		all = append(all, part)
	}
	return all
}

var model = porcupine.Model{
	Partition:         partition,
	Init:              func() interface{} { return state{} },
	Step:              step,
	Equal:             equal,
	DescribeOperation: describe,
	DescribeState:     func(s interface{}) string { return s.(state).String() },
}

func operations(history []*operation) []porcupine.Operation {
	all := make([]porcupine.Operation, 0, len(history))
	for _, op := range history {
		end := op.Return
		if op.Outcome == "unknown" {
			end = math.MaxInt64
		}
		all = append(all, porcupine.Operation{
			ClientId: op.Client, Input: op, Call: op.Call, Output: op, Return: end})
	}
	return all
}

func judge(history []*operation, timeout time.Duration, html string) int {
	result, info := porcupine.CheckOperationsVerbose(model, operations(history), timeout)
	switch result {
	case porcupine.Ok:
		fmt.Printf("linearizable: %d operations\n", len(history))
		return exitLinearizable
	case porcupine.Unknown:
		fmt.Printf("not decided within %s: %d operations\n", timeout, len(history))
		return exitUndecided
	}
	fmt.Printf("NOT linearizable: %d operations\n", len(history))
	if html != "" {
		if err := porcupine.VisualizePath(model, info, html); err == nil {
			fmt.Printf("drawn in %s\n", html)
		}
	}
	return exitNot
}

func main() {
	timeout := flag.Duration("timeout", 30*time.Second, "give up after this long")
	html := flag.String("html", "", "draw a history that is not linearizable")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: porcupine [-timeout TIME] [-html FILE] HISTORY")
		os.Exit(exitUsage)
	}
	file, err := os.Open(flag.Arg(0))
	if err != nil {
		fmt.Fprintf(os.Stderr, "porcupine: %v\n", err)
		os.Exit(exitUsage)
	}
	history, err := readHistory(file)
	if err == nil && len(history) == 0 {
		err = fmt.Errorf("there is no operation in it")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "porcupine: %s: %v\n", flag.Arg(0), err)
		os.Exit(exitUsage)
	}
	os.Exit(judge(history, *timeout, *html))
}
