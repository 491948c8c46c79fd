package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/seed"
)

const (
	// maxJoined is how many bundles may be there that a bridge made: whoever can
	// reach it can ask for any name, and each becomes a device of the gateway.
	maxJoined = 100
	// joinHoldOff is how long a join that failed is not tried again; pendingHoldOff
	// is for one that waits for a person: to ask again is no failed login.
	joinHoldOff    = 30 * time.Second
	pendingHoldOff = 3 * time.Second
)

// JoinError says why a client could not be joined.
type JoinError struct {
	// Command is what a person has to type, with the requestId where there is
	// one; empty where nothing helps.
	Command string
	// Pending: the gateway has the request, and waits for a person.
	Pending bool
	Err     error
}

func (e *JoinError) Error() string { return e.Err.Error() }
func (e *JoinError) Unwrap() error { return e.Err }

// joins has each client joined once, however many of its connections ask for it,
// and one client at a time.
type joins struct {
	turn sync.Mutex

	mu    sync.Mutex
	known map[string]*joinTry
}

// joinTry is one join, underway or failed a moment ago.
type joinTry struct {
	done chan struct{}
	// err and until are set when done is closed; until then err stands.
	err   error
	until time.Time
}

// once calls do, unless that is underway for the same name or has just failed:
// then the result is that one's.
func (j *joins) once(ctx context.Context, name string, do func() error) error {
	try, mine, err := j.begin(name, time.Now())
	if err != nil {
		return err
	}
	if !mine {
		select {
		case <-try.done:
			return try.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err = errors.New("the join broke off")
	defer func() { j.end(name, try, err) }()
	j.turn.Lock()
	defer j.turn.Unlock()
	err = do()
	return err
}

func (j *joins) begin(name string, now time.Time) (try *joinTry, mine bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for other, try := range j.known {
		if !try.until.IsZero() && now.After(try.until) {
			delete(j.known, other)
		}
	}
	if try, known := j.known[name]; known {
		return try, false, nil
	}
	if len(j.known) >= maxJoined {
		return nil, false, noRoom(name)
	}
	if j.known == nil {
		j.known = map[string]*joinTry{}
	}
	try = &joinTry{done: make(chan struct{})}
	j.known[name] = try
	return try, true, nil
}

func (j *joins) end(name string, try *joinTry, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	try.err = err
	failed := (*JoinError)(nil)
	switch {
	case err == nil, errors.Is(err, errNoRoom):
		delete(j.known, name)
	case errors.As(err, &failed) && failed.Pending:
		try.until = time.Now().Add(pendingHoldOff)
	default:
		try.until = time.Now().Add(joinHoldOff)
	}
	close(try.done)
}

var errNoRoom = fmt.Errorf("bridges have joined %d clients here, and join no more", maxJoined)

func noRoom(name string) error {
	return &JoinError{Command: "bootstrap seed --client " + name, Err: errNoRoom}
}

// claim counts a client among those that a bridge has joined, before it is: by a
// mark in its bundle, which outlives this process and goes with the bundle. One that
// has a device token was named by a person. It is called for one client at a time.
func claim(c client, bundleDir string) error {
	if c.missing == nil || atomicfile.Exists(markPath(bundleDir, c.name)) {
		return nil
	}
	bundles, err := os.ReadDir(bundleDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &seed.StoreError{Path: bundleDir, Err: err}
	}
	joined := 0
	for _, bundle := range bundles {
		if atomicfile.Exists(markPath(bundleDir, bundle.Name())) {
			joined++
		}
	}
	if joined >= maxJoined {
		return noRoom(c.name)
	}
	bundle, err := seed.OpenBundle(bundleDir, c.name)
	if err != nil {
		return err
	}
	return bundle.Locked(func() error {
		path := markPath(bundleDir, c.name)
		if err := atomicfile.Create(path, nil); err != nil && !errors.Is(err, fs.ErrExist) {
			return &seed.StoreError{Path: path, Err: err}
		}
		return nil
	})
}

func markPath(bundleDir, name string) string {
	return filepath.Join(bundleDir, name, "joined-by-bridge")
}

// notPaired is what a client is told that has no way in yet. Where the name
// leaves no room for the command in a close reason, the command counts.
func notPaired(name, command string) string {
	if full := fmt.Sprintf("client %s is not paired: %s", name, command); len("bridge: "+full) <= maxReason {
		return full
	}
	return "not paired: " + command
}

// notJoined is the refusal of a client whose join has failed.
func notJoined(name string, err error) *refusal {
	r := &refusal{reason: "client " + name + " cannot be joined; the bridge's log says why", cause: err}
	if failed := (*JoinError)(nil); errors.As(err, &failed) && failed.Command != "" {
		r.reason, r.hint = notPaired(name, failed.Command), failed.Command
	}
	return r
}
