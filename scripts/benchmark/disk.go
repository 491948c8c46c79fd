package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// notInMemory names the filesystem, and refuses one that keeps nothing.
func (b *bench) notInMemory(ctx context.Context) error {
	out, err := command(ctx, os.Environ(), "stat", "-f", "-c", "%T", b.work).Output()
	if err != nil {
		return fmt.Errorf("cannot ask for the filesystem: %w", err)
	}
	kind := strings.TrimSpace(string(out))
	if kind == "tmpfs" || kind == "ramfs" {
		return errors.New("the user's cache directory lies in memory; set XDG_CACHE_HOME to a directory on a disk")
	}
	fmt.Fprintf(os.Stderr, "bench: on %s (%s)\n", filepath.Dir(b.work), kind)
	b.table.lines = append(b.table.lines, "filesystem: "+kind)
	return nil
}

// syncPairs is how many files, each with its directory, a round syncs: about what a
// first boot does, so that one round's average can be set beside it.
const syncPairs = 6

// diskSync is what one fsync takes here, on average over small new files and
// the directory's entries for them, which is what bootstrap writes.
func diskSync(parent string) (one time.Duration, err error) {
	dir := filepath.Join(parent, "sync")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	var all time.Duration
	for i := range syncPairs {
		took, err := syncPair(dir, strconv.Itoa(i))
		if err != nil {
			return 0, err
		}
		all += took
	}
	return all / (2 * syncPairs), os.RemoveAll(dir)
}

// syncPair makes a file durable, and then its name; it tells how long the two
// fsyncs took.
func syncPair(dir, name string) (took time.Duration, err error) {
	temporary := filepath.Join(dir, ".temporary")
	file, err := os.Create(temporary)
	if err != nil {
		return 0, err
	}
	_, err = file.Write(make([]byte, 1000))
	started := time.Now()
	err = errors.Join(err, file.Sync())
	took = time.Since(started)
	if err := errors.Join(err, file.Close(), os.Rename(temporary, filepath.Join(dir, name))); err != nil {
		return 0, err
	}
	directory, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	started = time.Now()
	err = directory.Sync()
	return took + time.Since(started), errors.Join(err, directory.Close())
}

// countSyncs counts the fsyncs of a program and its threads; -1 without strace.
func (b *bench) countSyncs(ctx context.Context, env []string, argv ...string) (int, error) {
	strace, found := look("strace")
	if !found {
		return -1, nil
	}
	trace := filepath.Join(b.work, "trace")
	// Filtered in the kernel: only what is counted stops the program.
	if _, err := timed(ctx, env, append([]string{strace, "-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-o", trace}, argv...)...); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(trace)
	return strings.Count(string(text), "fsync(") + strings.Count(string(text), "fdatasync("), err
}

func count(n int) string {
	if n < 0 {
		return "no strace"
	}
	return strconv.Itoa(n)
}
