package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cpuADevice is what a command may take of the processor for each device.
const cpuADevice = 200 * time.Microsecond

// scaleSizes are how many clients there are: what is linear takes four times as long.
func scaleSizes() []int { return []int{1000, 4000, 16000} }

// scale measures what grows with the devices of a state directory: the CPU time for
// each, and the fsyncs, which must not grow but by their directories.
func (b *bench) scale(ctx context.Context) error {
	b.table.section("many clients: CPU time a client, fsyncs")
	for _, clients := range scaleSizes() {
		for _, kind := range []struct {
			name     string
			manifest string
			rest     [][]string
		}{
			{"own keys", manyClients(clients), [][]string{{"status"}, {"seed", "--dry-run", "--prune"}, {"seed", "--prune"}}},
			{"bundles", manyBundles(clients), nil},
		} {
			manifest := filepath.Join(b.work, fmt.Sprintf("clients-%d.yaml", clients))
			if err := os.WriteFile(manifest, []byte(kind.manifest), 0o600); err != nil {
				return err
			}
			apply := []string{"seed", "--manifest", manifest}
			all := append([][]string{apply, apply, {"status", "--manifest", manifest}}, kind.rest...)
			for i, argv := range all {
				what := strings.ReplaceAll(strings.Join(argv, " "), manifest, "FILE")
				if i == 1 {
					what += ", again"
				}
				changes := i == 0 || slices.Equal(argv, []string{"seed", "--prune"})
				if err := b.grows(ctx, kind.name+": "+what, clients, argv, changes); err != nil {
					return fmt.Errorf("%s, %d clients: %w", what, clients, err)
				}
			}
			if err := os.RemoveAll(b.scaled()); err != nil {
				return err
			}
		}
	}
	return nil
}

// scaled is the state directory that is worked in.
func (b *bench) scaled() string { return filepath.Join(b.work, "scale") }

// manyClients is a manifest of clients that keep their keys to themselves.
func manyClients(count int) string {
	return manifestOf(count, func(i int) string {
		key := sha256.Sum256([]byte(fmt.Sprint("bench ", i)))
		return fmt.Sprintf("{name: c-%d, publicKey: %s}", i, base64.RawURLEncoding.EncodeToString(key[:]))
	})
}

// manyBundles is one of clients that get theirs here.
func manyBundles(count int) string {
	return manifestOf(count, func(i int) string { return fmt.Sprintf("{name: c-%d}", i) })
}

func manifestOf(count int, client func(i int) string) string {
	var text strings.Builder
	text.WriteString("clients:\n")
	for i := range count {
		fmt.Fprintf(&text, "  - %s\n", client(i))
	}
	return text.String()
}

// grows measures one command: its fsyncs, and the time without whoever counts them, which
// adds to it. What changes something is timed on a copy of the state directory.
func (b *bench) grows(ctx context.Context, what string, clients int, argv []string, changes bool) error {
	argv = append([]string{b.program}, argv...)
	state := b.scaled()
	if changes {
		state += "-copy"
		defer func() { _ = os.RemoveAll(state) }()
		if _, err := os.Stat(b.scaled()); err == nil {
			if err := command(ctx, nil, "cp", "-a", b.scaled(), state).Run(); err != nil {
				return err
			}
		}
	}
	cmd := command(ctx, b.environ(state), argv...)
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
	syncs, err := b.countSyncs(ctx, b.environ(b.scaled()), argv...)
	if err != nil {
		return err
	}
	if changes && syncs < 0 { // nobody has done it there
		if err := errors.Join(os.RemoveAll(b.scaled()), os.Rename(state, b.scaled())); err != nil {
			return err
		}
	}
	b.table.add(row{
		what: fmt.Sprintf("%s, %d", what, clients), ours: fmt.Sprintf("%d µs, %s", used.Microseconds(), count(syncs)),
		budget: fmt.Sprintf("%d µs", cpuADevice.Microseconds()), over: used > cpuADevice,
	})
	return nil
}
