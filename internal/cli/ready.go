package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/settings"
)

// readiness is whether the gateway is there and has let our device in. The
// ready file, where there is one, says the same to whoever looks for it.
type readiness struct {
	file string // empty where there is none

	lock    sync.Mutex
	verdict *probe.Verdict // the last one; nil until there is one
}

// newReadiness begins unready. Before anything that may wait, what an earlier
// start has left is removed; not where a gateway runs on this folder, for then the
// file is that one's, and this start is about to be refused.
func (a *app) newReadiness(ctx context.Context, s settings.Settings, p place) (*readiness, error) {
	r := &readiness{}
	switch {
	case s.ReadyFile == "off":
	case s.ReadyFile != "":
		r.file = s.ReadyFile
	case os.Getpid() != 1: // it would be another bootstrap's too
	default:
		if r.file = usualReadyFile("/run", os.TempDir()); r.file == "" {
			a.log.Warn().Str("hint", "give the container a tmpfs on /run, or name another place with --ready-file, or off").
				Msg("there is no ready file: neither /run nor " + os.TempDir() + " can be written")
		}
	}
	if _, err := os.Lstat(r.file); err != nil || isLive(ctx, p) || gateway.Running(p.StateDir) {
		return r, nil
	}
	return r, r.begin()
}

// begin removes what stands there before a gateway is started.
func (r *readiness) begin() error {
	if err := r.forget(); err != nil {
		return &usageError{err: fmt.Errorf("--ready-file (BOOTSTRAP_READY_FILE): %w", err), hint: "name a place that can be written, such as a tmpfs, or off"}
	}
	return nil
}

// usualReadyFile is where the ready file goes without being told, "" where none
// of the folders can be written. It is never on a volume, which would keep it when
// the container is gone.
func usualReadyFile(folders ...string) string {
	for _, folder := range folders {
		if unix.Access(folder, unix.W_OK) == nil {
			return filepath.Join(folder, "bootstrap.ready")
		}
	}
	return ""
}

// prove takes in a verdict, and makes or removes the file.
func (r *readiness) prove(verdict probe.Verdict) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.verdict = &verdict
	if err := r.removeFile(); err != nil || !verdict.OK || r.file == "" {
		return err
	}
	file, err := os.OpenFile(r.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the ready file: %w", err)
	}
	_, err = fmt.Fprintln(file, time.Now().UTC().Format(time.RFC3339))
	return errors.Join(err, file.Close())
}

// forget makes it unready until the next proof.
func (r *readiness) forget() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.verdict = nil
	return r.removeFile()
}

func (r *readiness) removeFile() error {
	if r.file == "" {
		return nil
	}
	if err := os.Remove(r.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the ready file: %w", err)
	}
	return nil
}

// state is the last verdict, and whether it says ready.
func (r *readiness) state() (verdict probe.Verdict, ready bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.verdict == nil {
		return probe.Verdict{Outcome: probe.StillStarting, Message: "the gateway has not answered yet"}, false
	}
	return *r.verdict, r.verdict.OK
}
