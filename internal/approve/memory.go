package approve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

// Memory is what a policy must not forget when it starts anew: how many devices
// it has admitted, and which one as the first. Only one process at a time has
// it. It holds no secret.
type Memory struct {
	path string
	lock *atomicfile.Lock
	data memoryData
}

type memoryData struct {
	Version  int         `json:"version"`
	Approved int         `json:"approved"`
	First    firstDevice `json:"first,omitzero"`
	// Asked are the other devices whose approval has been asked for, each counted, and
	// of which no answer is known: one that broke off may be tried again.
	Asked []string `json:"asked,omitempty"`
}

// maxOpen bounds them; of more, the oldest ones keep no place.
const maxOpen = 100

// isCounted tells whether a device has a place already.
func (d memoryData) isCounted(deviceID string) bool {
	return d.First.DeviceID == deviceID && !d.First.Done || slices.Contains(d.Asked, deviceID)
}

// firstDevice is written before its approval is asked for: a crash in between
// must not open the window for another one.
type firstDevice struct {
	DeviceID string `json:"deviceId"`
	AtMs     int64  `json:"atMs"`
	// Done: the gateway has confirmed the approval.
	Done bool `json:"done"`
}

const maxMemorySize = 1 << 16

// memoryPatience is how long a watcher that is just ending may keep the lock.
const memoryPatience = 2 * time.Second

// OpenMemory opens approvals.json in a directory that exists. The error is an
// [atomicfile.LockedError] where another process watches with the same directory.
func OpenMemory(ctx context.Context, dir string) (*Memory, error) {
	path := filepath.Join(dir, "approvals.json")
	lock, err := atomicfile.Acquire(ctx, filepath.Join(dir, "approvals.lock"), memoryPatience)
	if errors.As(err, new(*atomicfile.LockedError)) || err != nil && ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		return nil, &MemoryError{path, err}
	}
	m := &Memory{path: path, lock: lock, data: memoryData{Version: 1}}
	if err = m.read(); err == nil {
		err = atomicfile.Clear(path)
	}
	if err != nil {
		lock.Release()
		return nil, &MemoryError{path, err}
	}
	return m, nil
}

// MemoryError is a memory that cannot be read or written; without it nothing is
// approved.
type MemoryError struct {
	Path string
	Err  error
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("cannot remember what was approved in %s: %v", e.Path, e.Err)
}
func (e *MemoryError) Class() string { return "store" }
func (e *MemoryError) Unwrap() error { return e.Err }

func (e *MemoryError) Hint() string {
	if fix := atomicfile.HintFor(e.Path, e.Err); fix != "" {
		return fix
	}
	return "to start anew, which lets one more first operator in: rm " + shell.Quote(e.Path)
}

func (m *Memory) read() error {
	data, err := atomicfile.Read(m.path, maxMemorySize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m.data)
	}
	if err == nil && (m.data.Version != 1 || m.data.Approved < 0) {
		err = fmt.Errorf("its version is %d, and this bootstrap knows 1", m.data.Version)
	}
	return err
}

// Close lets another process have it.
func (m *Memory) Close() { m.lock.Release() }

// reserve notes an approval before it is asked for; one that broke off counts once.
func (m *Memory) reserve(deviceID string, first bool, now time.Time) error {
	next := m.data
	if !next.isCounted(deviceID) {
		next.Approved++
	}
	switch {
	case first:
		next.First = firstDevice{DeviceID: deviceID, AtMs: now.UnixMilli()}
	case !next.isCounted(deviceID):
		next.Asked = append(slices.Clone(next.Asked), deviceID)
		next.Asked = next.Asked[max(0, len(next.Asked)-maxOpen):]
	}
	return m.keep(next)
}

// confirm notes of devices that have a place that they are in.
func (m *Memory) confirm(isIn func(deviceID string) bool) error {
	next, changed := m.data, false
	if !next.First.Done && next.First.DeviceID != "" && isIn(next.First.DeviceID) {
		next.First.Done, changed = true, true
	}
	if slices.ContainsFunc(next.Asked, isIn) {
		next.Asked, changed = slices.DeleteFunc(slices.Clone(next.Asked), isIn), true
	}
	if !changed {
		return nil
	}
	return m.keep(next)
}

// cancel takes a reservation back: the gateway has said no.
func (m *Memory) cancel(deviceID string) error {
	next := m.data
	next.Approved--
	next.Asked = slices.DeleteFunc(slices.Clone(next.Asked), func(asked string) bool { return asked == deviceID })
	if next.First.DeviceID == deviceID && !next.First.Done {
		next.First = firstDevice{}
	}
	return m.keep(next)
}

func (m *Memory) keep(next memoryData) error {
	data, err := json.MarshalIndent(next, "", "  ")
	if err == nil {
		err = atomicfile.Replace(m.path, append(data, '\n'))
	}
	if err != nil {
		return &MemoryError{m.path, err}
	}
	m.data = next
	return nil
}
