package bridge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// sizes are those at which a relay goes wrong, and the largest message that
// gateways take.
func sizes(random *rand.Rand) []int {
	out := []int{0, 1, 125, 126, 127, chunk - 1, chunk, chunk + 1, 2 * chunk, 2*chunk + 1, 65535, 65536, 25 << 20, 26214400, 0}
	for range 60 {
		out = append(out, random.IntN(100_000))
	}
	for range 4 {
		out = append(out, random.IntN(4<<20))
	}
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

type sum struct {
	kind websocket.MessageType
	size int
	hash [32]byte
}

// sendAll writes messages of all sizes, some in fragments, and returns what
// it sent, in order.
func sendAll(ctx context.Context, ws *websocket.Conn, seed uint64) (sent []sum, err error) {
	random := rand.New(rand.NewPCG(seed, 1))
	source := rand.NewChaCha8([32]byte{byte(seed)})
	data := make([]byte, 26214400)
	_, _ = source.Read(data)
	for i, size := range sizes(random) {
		kind, message := websocket.MessageBinary, data[len(data)-size:]
		if i%2 == 0 {
			// Text is UTF-8.
			kind, message = websocket.MessageText, bytes.Repeat([]byte{'a' + byte(i%26)}, size)
		}
		sent = append(sent, sum{kind, size, sha256.Sum256(message)})
		if i%3 != 0 {
			err = ws.Write(ctx, kind, message)
		} else {
			err = writeFragments(ctx, ws, kind, message, 1+random.IntN(100_000))
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func writeFragments(ctx context.Context, ws *websocket.Conn, kind websocket.MessageType, message []byte, size int) error {
	w, err := ws.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for len(message) > 0 {
		n := min(size, len(message))
		if _, err := w.Write(message[:n]); err != nil {
			return err
		}
		message = message[n:]
	}
	return w.Close()
}

func receiveAll(ctx context.Context, ws *websocket.Conn, count int) (got []sum, err error) {
	hash := sha256.New()
	for range count {
		kind, r, err := ws.Reader(ctx)
		if err != nil {
			return got, err
		}
		hash.Reset()
		n, err := io.Copy(hash, r)
		if err != nil {
			return got, err
		}
		got = append(got, sum{kind, int(n), [32]byte(hash.Sum(nil))})
	}
	return got, nil
}

func TestMessagesOfAllSizesArriveEqualAndInOrderBothWays(t *testing.T) {
	type told struct {
		sums []sum
		err  error
	}
	fromGateway, atGateway := make(chan told, 1), make(chan told, 1)
	count := len(sizes(rand.New(rand.NewPCG(1, 1))))
	gateway := newFake(t, func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
		_ = ws.Write(ctx, websocket.MessageText, helloTo(connect))
		var both sync.WaitGroup
		both.Go(func() { sums, err := sendAll(ctx, ws, 2); fromGateway <- told{sums, err} })
		both.Go(func() { sums, err := receiveAll(ctx, ws, count); atGateway <- told{sums, err} })
		both.Wait()
	})
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.letIn()
	fromClient := make(chan told, 1)
	go func() { sums, err := sendAll(p.ctx, p.ws, 1); fromClient <- told{sums, err} }()
	got, err := receiveAll(p.ctx, p.ws, count)
	compare(t, "to the client", <-fromGateway, told{got, err})
	compare(t, "to the gateway", <-fromClient, <-atGateway)
}

func compare(t *testing.T, where string, sent, got struct {
	sums []sum
	err  error
}) {
	t.Helper()
	if sent.err != nil || got.err != nil || len(sent.sums) != len(got.sums) {
		t.Fatalf("%s: %d sent (%v), %d came (%v)", where, len(sent.sums), sent.err, len(got.sums), got.err)
	}
	for i := range sent.sums {
		if sent.sums[i] != got.sums[i] {
			t.Fatalf("%s: message %d of %d bytes came as another, of %d bytes", where, i, sent.sums[i].size, got.sums[i].size)
		}
	}
}

func TestShortMessageStaysOneFrame(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	raw, in := upgrade(t, b.address, "/agent-1")
	sendFrame(t, raw, true, 1, []byte(reflecttConnect))
	// A client that asks at once may be shown no challenge before its hello.
	for answered := false; !answered; {
		_, data := readFrame(t, in)
		answered = bytes.Contains(data, []byte(`"type":"res"`))
	}
	sendFrame(t, raw, false, 2, []byte("one "))
	sendFrame(t, raw, true, 0, []byte("message"))
	if head, data := readFrame(t, in); head != 0x82 || string(data) != "one message" {
		t.Errorf("came as %#x %q", head, data)
	}
}

// The gateway dies at the very end of a fragment: what came is no message.
func TestMessageThatBreaksOffIsNotTakenForAWholeOne(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var gateway sync.WaitGroup
	gateway.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		request, err := http.ReadRequest(in)
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			acceptKey(request.Header.Get("Sec-WebSocket-Key")))
		serverFrame(conn, 0x81, []byte(challenge))
		if _, err := in.ReadByte(); err != nil {
			t.Error(err)
			return
		}
		serverFrame(conn, 0x81, helloTo(map[string]any{"id": "c1"}))
		serverFrame(conn, 0x01, bytes.Repeat([]byte("x"), 1000)) // more was to come
	})
	b := serve(t, "ws://"+listener.Addr().String(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.letIn()
	gateway.Wait()
	kind, data, err := p.ws.Read(p.ctx)
	if err == nil {
		t.Fatalf("a message came: %v of %d bytes", kind, len(data))
	}
	if websocket.CloseStatus(err) != 1013 {
		t.Errorf("ended with %v", err)
	}
}

func TestSideThatTakesNothingIsGivenUp(t *testing.T) {
	ended := make(chan struct{})
	gateway := newFake(t, func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
		_ = ws.Write(ctx, websocket.MessageText, helloTo(connect))
		ctx = ws.CloseRead(ctx)
		data := make([]byte, 1<<20)
		for {
			if err := ws.Write(ctx, websocket.MessageBinary, data); err != nil {
				close(ended)
				return
			}
		}
	})
	b := serve(t, gateway.url(), func(_ *Options, b *Bridge) {
		if b != nil {
			b.stallTimeout = 200 * time.Millisecond
		}
	})
	makeBundle(t, b.dir, "agent-1", "operator.read")
	b.dial(t, "/agent-1", nil).letIn() // and reads nothing from here on
	<-ended
}

func TestThousandIdleAndHundredBusyClientsNeedLittleMemory(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	before := inUse()
	const idle, busy = 1000, 100
	var all sync.WaitGroup
	limit := make(chan struct{}, 32)
	for range idle {
		all.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			b.dial(t, "/agent-1", nil).letIn()
		})
	}
	all.Wait()
	perIdle := (inUse() - before) / idle
	for range busy {
		all.Go(func() {
			p := b.dial(t, "/agent-1", nil)
			p.letIn()
			message := strings.Repeat("x", 200<<10)
			for range 5 {
				p.send(message)
				if _, data, err := p.ws.Read(p.ctx); err != nil || string(data) != message {
					t.Errorf("came back as %d bytes: %v", len(data), err)
					return
				}
			}
		})
	}
	all.Wait()
	// The client's and the gateway's ends are in this process, too.
	t.Logf("%d kB an idle client, both far ends included; %d kB with the busy ones", perIdle>>10, (inUse()-before)>>10)
	if perIdle > 256<<10 {
		t.Errorf("%d kB an idle client", perIdle>>10)
	}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func TestCloseReasonIsCutBetweenCharacters(t *testing.T) {
	if got := fit(strings.Repeat("é", 100)); len(got) != 122 {
		t.Errorf("%d bytes", len(got))
	}
}

// serverFrame writes one frame of at most 64 kB as a server does.
func serverFrame(w io.Writer, head byte, data []byte) {
	frame := []byte{head, 126, 0, 0}
	binary.BigEndian.PutUint16(frame[2:], uint16(len(data)))
	_, _ = w.Write(append(frame, data...))
}

// BenchmarkFrame compares a frame there and back with and without the bridge.
func BenchmarkFrame(bench *testing.B) {
	for _, size := range []int{200, 64 << 10, 1 << 20} {
		gateway := newFake(bench, welcome)
		b := serve(bench, gateway.url(), nil)
		makeBundle(bench, b.dir, "agent-1", "operator.read")
		straight := &served{address: strings.TrimPrefix(gateway.URL, "http://")}
		for name, s := range map[string]*served{"straight": straight, "bridged": b} {
			bench.Run(fmt.Sprintf("%s/%d", name, size), func(bench *testing.B) {
				p := s.dial(bench, "/agent-1", nil)
				p.letIn()
				message := make([]byte, size)
				bench.SetBytes(int64(2 * size))
				bench.ReportAllocs()
				for bench.Loop() {
					if err := p.ws.Write(p.ctx, websocket.MessageBinary, message); err != nil {
						bench.Fatal(err)
					}
					_, r, err := p.ws.Reader(p.ctx)
					if err == nil {
						_, err = io.Copy(io.Discard, r)
					}
					if err != nil {
						bench.Fatal(err)
					}
				}
			})
		}
	}
}
