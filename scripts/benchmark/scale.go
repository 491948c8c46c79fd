package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cpuADevice is what a command may take of the processor for each device.
const cpuADevice = 200 * time.Microsecond

// scaleSizes are how many clients there are: what is linear takes four times as long.
func scaleSizes() []int { return []int{1000, 4000, 16000} }

// scale measures what grows with the devices of a state directory: the CPU time for
// each, and the fsyncs, which must not grow.
func (b *bench) scale(ctx context.Context) error {
	b.table.section("many clients with keys of their own: CPU time a client, fsyncs")
	for _, clients := range scaleSizes() {
		manifest := filepath.Join(b.work, fmt.Sprintf("clients-%d.yaml", clients))
		if err := os.WriteFile(manifest, []byte(manyClients(clients)), 0o600); err != nil {
			return err
		}
		env := b.environ(filepath.Join(b.work, fmt.Sprintf("scale-%d", clients)))
		for _, command := range []struct {
			what string
			argv []string
		}{
			{"seed --manifest, new", []string{"seed", "--manifest", manifest}},
			{"seed --manifest, again", []string{"seed", "--manifest", manifest}},
			{"status, all named", []string{"status", "--manifest", manifest}},
			{"status, none named", []string{"status"}},
			{"seed --dry-run --prune", []string{"seed", "--dry-run", "--prune"}},
			{"seed --prune", []string{"seed", "--prune"}},
		} {
			if err := b.grows(ctx, env, command.what, clients, command.argv); err != nil {
				return fmt.Errorf("%s, %d clients: %w", command.what, clients, err)
			}
		}
	}
	return nil
}

// manyClients is a manifest of clients that keep their keys to themselves.
func manyClients(count int) string {
	var text strings.Builder
	text.WriteString("clients:\n")
	for i := range count {
		key := sha256.Sum256([]byte(fmt.Sprint("bench ", i)))
		fmt.Fprintf(&text, "  - {name: c-%d, publicKey: %s}\n", i, base64.RawURLEncoding.EncodeToString(key[:]))
	}
	return text.String()
}

// grows measures one command. Where it changes something it is run once, by strace,
// which counts the fsyncs and adds to the time.
func (b *bench) grows(ctx context.Context, env []string, what string, clients int, argv []string) error {
	trace := filepath.Join(b.work, "trace")
	argv = append([]string{b.program}, argv...)
	strace, counted := look("strace")
	if counted {
		// Filtered in the kernel: only what is counted stops the program.
		argv = append([]string{strace, "-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-o", trace}, argv...)
	}
	cmd := command(ctx, env, argv...)
	output, err := os.Create(filepath.Join(b.work, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()
	cmd.Stderr = output
	if err := cmd.Run(); err != nil {
		return err
	}
	used := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()) / time.Duration(clients)
	syncs := -1
	if counted {
		text, err := os.ReadFile(trace)
		if err != nil {
			return err
		}
		syncs = strings.Count(string(text), "sync(")
	}
	b.table.add(row{
		what: fmt.Sprintf("%s, %d", what, clients), ours: fmt.Sprintf("%d µs, %s", used.Microseconds(), count(syncs)),
		budget: fmt.Sprintf("%d µs", cpuADevice.Microseconds()), over: used > cpuADevice,
	})
	return nil
}
