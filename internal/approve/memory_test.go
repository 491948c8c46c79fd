package approve

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// Without its memory nothing is approved: exit code 4, and not 1.
func TestAMemoryThatCannotBeLockedIsOneThatCannotBeRead(t *testing.T) {
	_, err := OpenMemory(t.Context(), filepath.Join(t.TempDir(), "absent"))
	if !errors.As(err, new(*MemoryError)) {
		t.Errorf("got %v", err)
	}
}

func TestWaitingForAMemoryEndsWithTheContext(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenMemory(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenMemory(ctx, dir); !errors.Is(err, context.Canceled) || errors.As(err, new(*MemoryError)) {
		t.Errorf("got %v", err)
	}
}

func TestAPlaceIsCountedOnceAndTakenBackOnce(t *testing.T) {
	m, err := OpenMemory(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := errors.Join(m.reserve("a", true, time.Now()), m.reserve("a", true, time.Now())); err != nil || m.data.Approved != 1 {
		t.Errorf("%v, %d are counted", err, m.data.Approved)
	}
	// By another rule than first.
	if err := errors.Join(m.reserve("a", false, time.Now()), m.cancel("a")); err != nil || m.data.Approved != 0 || m.data.First.DeviceID != "" {
		t.Errorf("%v, %+v", err, m.data)
	}
	if err := errors.Join(m.reserve("b", true, time.Now()), m.confirm(func(string) bool { return true }), m.reserve("b", false, time.Now())); err != nil || m.data.Approved != 2 {
		t.Errorf("%v, %d are counted", err, m.data.Approved)
	}
}
