package gatewaytest_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
)

// knock is one client that connects from somewhere. Each is a device of its own.
type knock struct {
	Name      string
	Seed      string // of its key, in hex
	URL       string
	Token     string
	Auth      probe.Auth
	Role      string
	Scopes    []string
	Mode      string // client mode
	Platform  string
	Forwarded string // sent as X-Forwarded-For, as by a proxy
	Bearer    string // sent as Authorization, for a bridge
	Again     int    // how often it comes again while it is not let in
}

func newKnock(t testing.TB, name string, change func(*knock)) knock {
	t.Helper()
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // never fails
	k := knock{Name: name, Seed: hex.EncodeToString(seed), Auth: probe.AuthShared, Role: "operator", Scopes: readWrite}
	if change != nil {
		change(&k)
	}
	return k
}

func (k knock) identity() (identity.Identity, error) {
	seed, err := hex.DecodeString(k.Seed)
	if err != nil {
		return identity.Identity{}, err
	}
	return identity.FromSeed(seed, time.Now())
}

func (k knock) deviceID(t testing.TB) string {
	t.Helper()
	id, err := k.identity()
	if err != nil {
		t.Fatal(err)
	}
	return id.DeviceID()
}

// knockAt lets clients connect from the remote side, or from this machine where
// remote is nil, and returns what each met in the end.
func knockAt(t testing.TB, remote *gatewaytest.Remote, knocks ...knock) []probe.Verdict {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := json.Marshal(knocks)
	if err != nil {
		t.Fatal(err)
	}
	result := gatewaytest.Run(t, gatewaytest.Command{
		Argv: []string{self, "-test.run=^TestClientProcess$", "-test.count=1"},
		Env:  []string{"GATEWAYTEST_CLIENTS=yes"}, Stdin: string(plan), In: remote, Timeout: patience,
	})
	_, found, ok := strings.Cut(result.Stdout, "verdicts:")
	line, _, _ := strings.Cut(found, "\n")
	var verdicts []probe.Verdict
	if err := json.Unmarshal([]byte(line), &verdicts); !ok || err != nil || len(verdicts) != len(knocks) {
		t.Fatalf("the clients said (%d) %s\n%s", result.Code, result.Stdout, result.Stderr)
	}
	return verdicts
}

// TestClientProcess is no test of its own: started by knockAt, in another network
// namespace, it is the clients.
func TestClientProcess(t *testing.T) {
	t.Parallel()
	if os.Getenv("GATEWAYTEST_CLIENTS") == "" {
		return
	}
	var knocks []knock
	if err := json.NewDecoder(os.Stdin).Decode(&knocks); err != nil {
		t.Fatal(err)
	}
	verdicts := make([]probe.Verdict, len(knocks))
	// A gateway takes 32 connections of one address that are not let in yet.
	places := make(chan struct{}, 24)
	var all sync.WaitGroup
	for i, k := range knocks {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			verdicts[i] = k.connect(t)
		})
	}
	all.Wait()
	out, err := json.Marshal(verdicts)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.WriteString("verdicts:" + string(out) + "\n")
}

func (k knock) connect(t *testing.T) probe.Verdict {
	id, err := k.identity()
	if err != nil {
		t.Fatal(err)
	}
	url := k.URL
	if k.Forwarded != "" {
		url = forward(t, url, "X-Forwarded-For: "+k.Forwarded)
	}
	if k.Bearer != "" {
		url = forward(t, url, "Authorization: Bearer "+k.Bearer)
	}
	options := probe.Options{
		URL: url, Auth: k.Auth, Identity: id, Role: k.Role, Scopes: k.Scopes, ClientMode: k.Mode, DisplayName: k.Name,
		Platform: k.Platform, GatewayToken: k.Token, DeviceToken: k.Token, Wait: patience,
	}
	if k.Role == "node" {
		options.ClientID, options.ClientMode = "node-host", "node"
	}
	verdict := probe.Run(context.Background(), options)
	for range k.Again {
		if verdict.OK {
			break
		}
		time.Sleep(200 * time.Millisecond)
		verdict = probe.Run(context.Background(), options)
	}
	return verdict
}

// forward is a proxy of one client's own making: it passes everything on and
// adds a header to the first request.
func forward(t *testing.T, url, header string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(client, strings.TrimPrefix(url, "ws://"), header)
		}
	}()
	return "ws://" + listener.Addr().String()
}

func pass(client net.Conn, to, header string) {
	defer func() { _ = client.Close() }()
	gateway, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = gateway.Close() }()
	reader := bufio.NewReader(client)
	first, err := reader.ReadString('\n')
	if err != nil {
		return
	}
	_, _ = io.WriteString(gateway, first+header+"\r\n")
	go func() { _, _ = io.Copy(gateway, reader) }()
	_, _ = io.Copy(client, gateway)
}
