package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	bridgedPort, bridgePort = "39495", "39496"
	// bridgeCalls is how often a small request is made over either connection, by
	// turns, so that both see the same machine.
	bridgeCalls = 3000
	// bridgeLoads of bridgeLoad bytes are sent over either connection.
	bridgeLoads, bridgeLoad = 40, 1 << 20
	// bridgeIdle is how many idle clients the memory is divided by.
	bridgeIdle = 200
	// bridgeBudget is what a frame may take of its time without the bridge, and
	// bridgeThroughput what has to be left of the throughput.
	bridgeBudget, bridgeThroughput = 1.15, 0.88
)

// bridge measures what the bridge adds to a connection to a real gateway. Both
// ends of the straight connection are those of the bridged one.
func (b *bench) bridge(ctx context.Context) error {
	config, err := b.gatewayConfig()
	if err != nil {
		return err
	}
	log := filepath.Join(b.work, "bridge-log")
	env := b.environ(filepath.Join(b.work, "bridged"), "OPENCLAW_CONFIG_PATH="+config, "OPENCLAW_GATEWAY_PORT="+bridgedPort,
		"OPENCLAW_GATEWAY_TOKEN=measured", "BOOTSTRAP_CLIENTS=bench", "BOOTSTRAP_BRIDGE=127.0.0.1:"+bridgePort, "BOOTSTRAP_LOG_FORMAT=json")
	cmd, done, err := b.start(ctx, env, log, b.program, "run", "--prove-timeout=150s", "--", b.node, b.entry, "gateway")
	if err != nil {
		return err
	}
	defer done()
	if err := waitForLine(ctx, log, "ready: the pairing is proven", 150*time.Second); err != nil {
		return err
	}
	straight, err := visit(ctx, "ws://127.0.0.1:"+bridgedPort, 4)
	if err != nil {
		return fmt.Errorf("straight: %w", err)
	}
	defer func() { _ = straight.CloseNow() }()
	bridged, err := visit(ctx, "ws://127.0.0.1:"+bridgePort+"/bench", 3)
	if err != nil {
		return fmt.Errorf("bridged: %w", err)
	}
	defer func() { _ = bridged.CloseNow() }()
	b.table.section("the bridge before a gateway")
	if err := b.frames(ctx, straight, bridged); err != nil {
		return err
	}
	if err := b.throughput(ctx, straight, bridged); err != nil {
		return err
	}
	return b.idleClients(ctx, cmd.Process.Pid)
}

// visit connects as reflectt-node does; most is the newest protocol it can read.
func visit(ctx context.Context, url string, most int) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1)
	params := fmt.Sprintf(`{"minProtocol":3,"maxProtocol":%d,"client":{"id":"cli","version":"1.0.0","platform":"linux","mode":"cli"},`+
		`"role":"operator","scopes":["operator.read","operator.write"],"auth":{"token":"measured"}}`, most)
	ok, err := call(ctx, ws, "connect", params)
	if err == nil && !ok {
		err = errors.New("not let in")
	}
	return ws, err
}

// call makes one request and waits for its answer.
func call(ctx context.Context, ws *websocket.Conn, method, params string) (ok bool, err error) {
	request := fmt.Sprintf(`{"type":"req","id":"1","method":%q,"params":%s}`, method, params)
	if err := ws.Write(ctx, websocket.MessageText, []byte(request)); err != nil {
		return false, err
	}
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return false, err
		}
		var answer struct {
			Type string `json:"type"`
			OK   bool   `json:"ok"`
		}
		if err := json.Unmarshal(data, &answer); err != nil || answer.Type == "res" {
			return answer.OK, err
		}
	}
}

// frames compares a small request and its answer, by turns.
func (b *bench) frames(ctx context.Context, straight, bridged *websocket.Conn) error {
	took := [2][]time.Duration{}
	for i := range bridgeCalls + bridgeCalls/10 {
		for side, ws := range []*websocket.Conn{straight, bridged} {
			started := time.Now()
			ok, err := call(ctx, ws, "models.list", "{}")
			if err != nil || !ok {
				return fmt.Errorf("models.list, side %d: %v, %w", side, ok, err)
			}
			if i >= bridgeCalls/10 { // the first ones warm up
				took[side] = append(took[side], time.Since(started))
			}
		}
	}
	for _, q := range []struct {
		what string
		of   float64
	}{{"a request and its answer: median", 0.5}, {"  99th percentile", 0.99}} {
		without, with := quantile(took[0], q.of), quantile(took[1], q.of)
		line := row{
			what: q.what, ours: milliseconds(with), against: "straight " + milliseconds(without),
			ratio: ratio(float64(with), float64(without)),
		}
		if q.of == 0.5 {
			line.budget, line.over = "1.15 × straight", float64(with) > bridgeBudget*float64(without)
		}
		b.table.add(line)
	}
	return nil
}

// throughput compares requests of a megabyte, which the gateway reads as a whole
// and refuses for their form.
func (b *bench) throughput(ctx context.Context, straight, bridged *websocket.Conn) error {
	params := `{"nothing":"` + strings.Repeat("x", bridgeLoad) + `"}`
	var took [2]time.Duration
	for range bridgeLoads {
		for side, ws := range []*websocket.Conn{straight, bridged} {
			started := time.Now()
			if _, err := call(ctx, ws, "models.list", params); err != nil {
				return fmt.Errorf("a megabyte, side %d: %w", side, err)
			}
			took[side] += time.Since(started)
		}
	}
	perSecond := func(all time.Duration) string {
		return fmt.Sprintf("%.0f MB/s", bridgeLoads*bridgeLoad/1e6/all.Seconds())
	}
	b.table.add(row{
		what: "requests of 1 MB, one after another", ours: perSecond(took[1]), against: "straight " + perSecond(took[0]),
		ratio: ratio(float64(took[0]), float64(took[1])), budget: "0.88 × straight",
		over: float64(took[0]) < bridgeThroughput*float64(took[1]),
	})
	return nil
}

// idleClients tells what one more client costs that says nothing.
func (b *bench) idleClients(ctx context.Context, pid int) error {
	time.Sleep(rest)
	before, err := readMemory(pid)
	if err != nil {
		return err
	}
	for range bridgeIdle {
		ws, err := visit(ctx, "ws://127.0.0.1:"+bridgePort+"/bench", 3)
		if err != nil {
			return fmt.Errorf("an idle client: %w", err)
		}
		defer func() { _ = ws.CloseNow() }()
	}
	time.Sleep(rest)
	after, err := readMemory(pid)
	if err != nil {
		return err
	}
	b.table.add(row{
		what: fmt.Sprintf("anonymous memory a client, %d idle ones", bridgeIdle),
		ours: fmt.Sprintf("%d kB", (after.anonymous-before.anonymous)/bridgeIdle),
	})
	return nil
}

// quantile is the value that a share of them does not exceed.
func quantile(values []time.Duration, of float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(of*float64(len(sorted))))]
}
