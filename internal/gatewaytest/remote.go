package gatewaytest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Remote is a second network namespace on this machine, joined to it by a
// virtual cable. To a gateway bound to lan a client in it is not loopback, as
// one in another container is not.
type Remote struct {
	HostAddr   string // this machine, seen from the remote side: 10.77.N.1
	ClientAddr string // the remote side, seen from this machine: 10.77.N.2

	namespace string
}

// NewRemote makes a Remote for the length of a test. It needs root and skips
// the test without.
func NewRemote(t testing.TB) *Remote {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: a second network namespace needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Fatal(`cannot make a second network namespace: "ip" is missing: install iproute2`)
	}
	n := reserveNetwork(t)
	r := &Remote{
		HostAddr:   fmt.Sprintf("10.77.%d.1", n),
		ClientAddr: fmt.Sprintf("10.77.%d.2", n),
		namespace:  namespaceName(n),
	}
	host, client := fmt.Sprintf("gwt%dh", n), fmt.Sprintf("gwt%dc", n)
	j := getJanitor(t)
	j.tell("netns " + r.namespace + " " + host)
	t.Cleanup(func() {
		// Told first: once the name is free, another test process may take it.
		j.tell("done " + r.namespace)
		_, _ = ip("link", "delete", host)
		if out, err := ip("netns", "delete", r.namespace); err != nil {
			t.Errorf("cannot remove the network namespace: %v\n%s", err, out)
		}
	})
	for _, line := range []string{
		fmt.Sprintf("link add %s type veth peer name %s netns %s", host, client, r.namespace),
		fmt.Sprintf("address add %s/24 dev %s", r.HostAddr, host),
		fmt.Sprintf("link set %s up", host),
		fmt.Sprintf("-n %s address add %s/24 dev %s", r.namespace, r.ClientAddr, client),
		fmt.Sprintf("-n %s link set %s up", r.namespace, client),
		fmt.Sprintf("-n %s link set lo up", r.namespace),
	} {
		if out, err := ip(strings.Fields(line)...); err != nil {
			t.Fatalf("cannot make the network: ip %s: %v\n%s", line, err, out)
		}
	}
	return r
}

// URL is the address of the gateway, seen from the remote side. The gateway has
// to be bound to lan.
func (r *Remote) URL(g *Gateway) string {
	return fmt.Sprintf("ws://%s:%d", r.HostAddr, g.Port)
}

// prefix is put before a command that is to run on the remote side.
func (r *Remote) prefix() []string {
	return []string{"ip", "netns", "exec", r.namespace}
}

// reserveNetwork makes a namespace and so claims the network of its number: no
// two namespaces of one name exist, whichever process asks.
func reserveNetwork(t testing.TB) int {
	t.Helper()
	var out string
	var err error
	for _, n := range rand.Perm(254) {
		if out, err = ip("netns", "add", namespaceName(n+1)); err == nil {
			return n + 1
		}
		if !strings.Contains(out, "File exists") {
			break
		}
	}
	t.Fatalf("cannot make a network namespace: %v\n%s", err, out)
	return 0
}

func namespaceName(n int) string { return fmt.Sprintf("gatewaytest-%d", n) }

func ip(args ...string) (string, error) {
	out, err := exec.Command("ip", args...).CombinedOutput()
	return string(out), err
}
