package approve

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
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
