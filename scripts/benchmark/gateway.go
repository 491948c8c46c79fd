package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const realPort = "39492"

// probes is how often the gateway is asked by either program.
const probes = 5

// migrated is the state directory that the real gateway leaves.
func (b *bench) migrated() string { return filepath.Join(b.work, "migrated") }

// gatewayConfig writes what every gateway here is configured with.
func (b *bench) gatewayConfig() (path string, err error) {
	path = filepath.Join(b.work, "openclaw.json")
	// Without the file its log would go to /tmp/openclaw.
	content := fmt.Sprintf(`{"plugins": {"enabled": false}, "gateway": {"mode": "local"}, "logging": {"file": %q}}`,
		filepath.Join(b.work, "gateway-own-log"))
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// provenGateway boots the gateway in the migrated state directory, supervised, and waits
// for the proof; done ends it.
func (b *bench) provenGateway(ctx context.Context) (env []string, pid int, done func(), err error) {
	config, err := b.gatewayConfig()
	if err != nil {
		return nil, 0, nil, err
	}
	env = b.environ(b.migrated(), "OPENCLAW_CONFIG_PATH="+config, "OPENCLAW_GATEWAY_PORT="+realPort)
	log := filepath.Join(b.work, "gateway-log")
	cmd, done, err := b.start(ctx, append(env, "OPENCLAW_GATEWAY_TOKEN=measured"), log,
		b.program, "run", "--handover=supervise", "--prove-timeout=150s", "--", b.node, b.entry, "gateway")
	if err != nil {
		return nil, 0, nil, err
	}
	if err := waitForLine(ctx, log, "ready: the pairing is proven", 150*time.Second); err != nil {
		done()
		return nil, 0, nil, err
	}
	return env, cmd.Process.Pid, done, nil
}

// realGateway boots the gateway from an empty directory, measures memory once the
// pairing is proven, and compares the two ways to ask it.
func (b *bench) realGateway(ctx context.Context) error {
	env, pid, done, err := b.provenGateway(ctx)
	if err != nil {
		return err
	}
	defer done()
	time.Sleep(rest)
	ours, err := readMemory(pid)
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
	if err := b.atRest(ctx, pid); err != nil {
		return err
	}
	b.table.section("asking a running gateway")
	b.table.add(row{
		what: "bootstrap probe", ours: milliseconds(median(probe)), against: "openclaw devices list " + milliseconds(median(list)),
		ratio: ratio(float64(median(probe)), float64(median(list))),
	})
	return nil
}

// What a supervisor may cost beside a gateway that runs, a minute.
const (
	restTime     = 5 * time.Minute
	restSwitches = 50
	restUsed     = 10 * time.Millisecond
)

// atRest measures what lasts: a supervisor whose gateway runs. Right after the proof
// its memory says nothing about the months to come.
func (b *bench) atRest(ctx context.Context, pid int) error {
	used, err := processorTime(pid)
	if err != nil {
		return err
	}
	switches, err := readSwitches(pid)
	if err != nil {
		return err
	}
	if err := sleep(ctx, restTime); err != nil {
		return err
	}
	ours, err := readMemory(pid)
	if err != nil {
		return err
	}
	usedNow, err := processorTime(pid)
	if err != nil {
		return err
	}
	switchesNow, err := readSwitches(pid)
	if err != nil {
		return err
	}
	minutes := int(restTime / time.Minute)
	switches, used = (switchesNow-switches)/minutes, (usedNow-used)/time.Duration(minutes)
	b.tellMemory("the gateway, five minutes later", ours, "")
	b.table.add(row{
		what: "  context switches a minute", ours: count(switches), budget: count(restSwitches), over: switches > restSwitches,
	})
	b.table.add(row{
		what: "  CPU time a minute", ours: milliseconds(used), budget: milliseconds(restUsed), over: used > restUsed,
	})
	return nil
}

// readSwitches counts how often the threads of a process went to sleep or were
// interrupted.
func readSwitches(pid int) (switches int, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.HasSuffix(name, "ctxt_switches") {
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					return 0, err
				}
				switches += n
			}
		}
	}
	return switches, nil
}
