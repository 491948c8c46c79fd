package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
)

const (
	approvalPort = "39497"
	// approvals is how many new devices the watcher, loopApprovals how many the
	// shell loop lets in.
	approvals, loopApprovals = 15, 3
	shareRounds              = "200x"
	shareBudget              = 5 * time.Millisecond
)

// approvalLoop is what people put beside a gateway.
const approvalLoop = `while :; do
	"$NODE" "$ENTRY" devices list --json | grep -o '"requestId": *"[^"]*"' | cut -d '"' -f 4 |
		while read -r id; do "$NODE" "$ENTRY" devices approve "$id"; done
	sleep 1
done`

var shareLine = regexp.MustCompile(`(?m)^BenchmarkKnockToApproved/token(?:-\d+)?\s+\d+\s+([\d.]+) ns/op`)

// approval measures how long a device that nobody knows waits: from the start of
// its first connect, which is refused, to the end of the one that is accepted.
func (b *bench) approval(ctx context.Context) error {
	b.table.section("a new device, from its first connect to its accepted one")
	if err := b.approvalShare(ctx); err != nil {
		return err
	}
	host, err := ownAddress()
	if err != nil {
		b.table.add(row{what: "approve --watch and the shell loop", ours: "not measured: " + err.Error()})
		return nil
	}
	config, err := b.gatewayConfig()
	if err != nil {
		return err
	}
	log := filepath.Join(b.work, "approval-log")
	env := b.environ(filepath.Join(b.work, "asked"), "OPENCLAW_CONFIG_PATH="+config, "OPENCLAW_GATEWAY_PORT="+approvalPort,
		"OPENCLAW_GATEWAY_TOKEN=measured", "NODE="+b.node, "ENTRY="+b.entry)
	_, done, err := b.start(ctx, env, log, b.program, "run", "--handover=supervise", "--prove-timeout=150s", "--", b.node, b.entry, "gateway", "--bind", "lan")
	if err != nil {
		return err
	}
	defer done()
	if err := waitForLine(ctx, log, "ready: the pairing is proven", 150*time.Second); err != nil {
		return err
	}
	url := "ws://" + net.JoinHostPort(host, approvalPort)
	if err := refusedAlone(ctx, url); err != nil {
		return err
	}
	ours, err := b.approvedBy(ctx, env, url, approvals, "watching for pairing requests", b.program, "approve", "--watch", "--approve=token")
	if err != nil {
		return fmt.Errorf("approve --watch: %w", err)
	}
	loop, err := b.approvedBy(ctx, env, url, loopApprovals, "", "sh", "-c", approvalLoop)
	if err != nil {
		return fmt.Errorf("the shell loop: %w", err)
	}
	b.table.add(row{
		what: "approve --watch", ours: milliseconds(median(ours)), against: "list and approve in a shell loop " + milliseconds(median(loop)),
		ratio: ratio(float64(median(ours)), float64(median(loop))),
	})
	return nil
}

// approvalShare is our part of it: with a gateway that takes no time.
func (b *bench) approvalShare(ctx context.Context) error {
	cmd := command(ctx, append(os.Environ(), "TMPDIR="+b.work),
		"go", "test", "-run", "^$", "-bench", "^BenchmarkKnockToApproved$/^token$", "-benchtime", shareRounds, "./internal/approve")
	out, err := cmd.CombinedOutput()
	found := shareLine.FindSubmatch(out)
	if err != nil || found == nil {
		return fmt.Errorf("no benchmark ran: %w\n%s", err, out)
	}
	nanoseconds, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return err
	}
	took := time.Duration(nanoseconds)
	b.table.add(row{
		what: "our share: event to approval, mean", ours: milliseconds(took), budget: "5 ms", over: took > shareBudget,
		ratio: ratio(float64(took), float64(shareBudget)) + " of the budget",
	})
	return nil
}

// approvedBy tells how long new devices wait while a program answers them. The
// program is ready with the line.
func (b *bench) approvedBy(ctx context.Context, env []string, url string, devices int, line string, argv ...string) ([]time.Duration, error) {
	log := filepath.Join(b.work, "approver-log")
	if err := os.RemoveAll(log); err != nil {
		return nil, err
	}
	_, done, err := b.start(ctx, env, log, argv...)
	if err != nil {
		return nil, err
	}
	defer done()
	if line != "" {
		if err := waitForLine(ctx, log, line, time.Minute); err != nil {
			return nil, err
		}
	}
	var waits []time.Duration
	for range devices {
		wait, err := letIn(ctx, url)
		if err != nil {
			return nil, err
		}
		waits = append(waits, wait)
	}
	return waits, nil
}

// refusedAlone makes sure that nobody is let in whom nobody has approved.
func refusedAlone(ctx context.Context, url string) error {
	device, err := identity.New(time.Now())
	if err != nil {
		return err
	}
	err = connectOnce(ctx, url, device)
	if refusal := (*protocol.Refusal)(nil); errors.As(err, &refusal) && refusal.RequestID != "" {
		return nil
	}
	return fmt.Errorf("a new device was not told to wait for an approval: %w", cmp.Or(err, errors.New("it was let in")))
}

// letIn connects as a new device, again and again: every 5 ms at first, and
// every 100 ms where it takes long.
func letIn(ctx context.Context, url string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	device, err := identity.New(time.Now())
	if err != nil {
		return 0, err
	}
	started := time.Now()
	for tries := 0; ; tries++ {
		err := connectOnce(ctx, url, device)
		refusal := (*protocol.Refusal)(nil)
		switch {
		case err == nil: // at the first try too, where it was approved while it was being asked for
			return time.Since(started), nil
		case !errors.As(err, &refusal) || refusal.RequestID == "":
			return 0, err
		}
		pause := 5 * time.Millisecond
		if tries > 50 {
			pause = 100 * time.Millisecond
		}
		time.Sleep(pause)
	}
}

func connectOnce(ctx context.Context, url string, device identity.Identity) error {
	conn, err := protocol.Dial(ctx, protocol.DialOptions{URL: url})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	_, err = protocol.Handshake(ctx, conn, protocol.ConnectRequest{
		Identity: device, ClientID: "cli", ClientMode: "cli", Platform: "linux", Version: "dev",
		Role: "operator", Scopes: []string{"operator.read", "operator.write"}, Token: "measured",
	})
	return err
}

// ownAddress is one of this machine's that is not loopback: there a gateway lets
// every device in.
func ownAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no address but loopback")
}
