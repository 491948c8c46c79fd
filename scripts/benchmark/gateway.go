package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const realPort = "39492"

// probes is how often the gateway is asked by either program.
const probes = 5

// migrated is the state folder that the real gateway leaves.
func (b *bench) migrated() string { return filepath.Join(b.work, "migrated") }

// gatewayConfig writes what every gateway here is configured with.
func (b *bench) gatewayConfig() (path string, err error) {
	path = filepath.Join(b.work, "openclaw.json")
	// Without the file its log would go to /tmp/openclaw.
	content := fmt.Sprintf(`{"plugins": {"enabled": false}, "gateway": {"mode": "local"}, "logging": {"file": %q}}`,
		filepath.Join(b.work, "gateway-own-log"))
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// realGateway boots the gateway from an empty folder, supervised, measures
// memory once the pairing is proven, and compares the two ways to ask it.
func (b *bench) realGateway(ctx context.Context) error {
	config, err := b.gatewayConfig()
	if err != nil {
		return err
	}
	env := b.environ(b.migrated(), "OPENCLAW_CONFIG_PATH="+config, "OPENCLAW_GATEWAY_PORT="+realPort)
	log := filepath.Join(b.work, "gateway-log")
	cmd, done, err := b.start(ctx, append(env, "OPENCLAW_GATEWAY_TOKEN=measured"), log,
		b.program, "run", "--handover=supervise", "--prove-timeout=150s", "--", b.node, b.entry, "gateway")
	if err != nil {
		return err
	}
	defer done()
	if err := waitForLine(ctx, log, "ready: the pairing is proven", 150*time.Second); err != nil {
		return err
	}
	time.Sleep(rest)
	ours, err := readMemory(cmd.Process.Pid)
	if err != nil {
		return err
	}
	b.tellMemory("the gateway, proven", ours, "")

	var probe, list []time.Duration
	for range probes {
		one, err := timed(ctx, env, b.program, "probe")
		if err != nil {
			return err
		}
		other, err := timed(ctx, env, b.node, b.entry, "devices", "list", "--json")
		if err != nil {
			return err
		}
		probe, list = append(probe, one), append(list, other)
	}
	b.table.section("asking a running gateway")
	b.table.add(row{
		what: "bootstrap probe", ours: milliseconds(median(probe)), against: "openclaw devices list " + milliseconds(median(list)),
		ratio: ratio(float64(median(probe)), float64(median(list))),
	})
	return nil
}
