package pairing

import (
	"context"
	"net"
	"os"
	"testing"
	"time"
)

// A name of --gateway-url that nobody answers for keeps no bridge from its gateway, and
// the end from nobody.
func TestAnUnansweredNameKeepsNobodyWaiting(t *testing.T) {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	asked := make(chan struct{}, 100)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	own := &OwnListener{port: 18789}
	own.Started(os.Getpid())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	named, number := make(chan struct{}), make(chan struct{})
	go func() { defer close(named); _, _ = own.check(ctx, "gateway.example:18789") }()
	<-asked
	go func() { defer close(number); _, _ = own.check(ctx, "127.0.0.1:18789") }()
	select {
	case <-number:
	case <-time.After(2 * time.Minute):
		t.Error("another address waits for the name")
	}
	cancel()
	select {
	case <-named:
	case <-time.After(2 * time.Minute):
		t.Error("the look-up outlives who wants to know")
	}
}
