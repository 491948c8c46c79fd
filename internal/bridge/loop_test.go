package bridge

import (
	"strings"
	"testing"
)

func TestABridgeWhoseGatewayIsItselfEndsAfterOneHop(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// By a name that only the header sees through.
	b, err := New(Options{GatewayURL: "ws://" + l.Address() + "/agent-1", BundleDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	makeBundle(t, b.options.BundleDir, "agent-1", "operator.read")
	start(t, b, l)
	s := &served{Bridge: b, address: l.Address()}
	p := s.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	if got := p.closed(); got.Code != 1013 || !strings.Contains(got.Reason, "508") {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
}
