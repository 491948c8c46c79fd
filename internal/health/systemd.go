package health

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Systemd tells the service manager that started this process how it is (sd_notify).
// No call waits for the manager, which may not read for a while, or ever: runc 1.1
// reads until READY=1, and no further. What is not sent yet is replaced by what is
// newer. The methods of nil do nothing.
type Systemd struct {
	failed func(error)
	wake   chan struct{}
	ended  chan struct{}

	mu     sync.Mutex
	unsent map[string]string
	last   bool // nothing comes after what is unsent
}

// NewSystemd speaks to the socket that NOTIFY_SOCKET names, and feeds the watchdog
// where WATCHDOG_USEC asks for that. failed is told once where it cannot be heard,
// from another goroutine.
func NewSystemd(failed func(error)) *Systemd {
	s := &Systemd{failed: failed, wake: make(chan struct{}, 1), ended: make(chan struct{}), unsent: map[string]string{}}
	go s.run()
	return s
}

// Status says in a line what "systemctl status" shows.
func (s *Systemd) Status(text string) { s.say("STATUS", line(text)) }

// Ready says that the start has succeeded. It cannot be taken back: what comes later
// is a status.
func (s *Systemd) Ready() { s.say("READY", "1") }

// Stopping says that the end has begun.
func (s *Systemd) Stopping() { s.say("STOPPING", "1") }

// Close waits, at most for patience, until all is sent.
func (s *Systemd) Close(patience time.Duration) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.last = true
	s.mu.Unlock()
	s.say("", "")
	select {
	case <-s.ended:
	case <-time.After(patience):
	}
}

func (s *Systemd) say(name, value string) {
	if s == nil {
		return
	}
	if name != "" {
		s.mu.Lock()
		s.unsent[name] = value
		s.mu.Unlock()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run is the one that may wait for the manager.
func (s *Systemd) run() {
	defer close(s.ended)
	var watchdog <-chan time.Time
	every, err := daemon.SdWatchdogEnabled(false)
	s.report(err)
	if every >= minWatchdog {
		ticker := time.NewTicker(every / 2)
		defer ticker.Stop()
		watchdog = ticker.C
	}
	for {
		select {
		case <-s.wake:
		case <-watchdog:
			s.say("WATCHDOG", "1")
		}
		text, last := s.take()
		if text != "" {
			_, err := daemon.SdNotify(false, text)
			s.report(err)
		}
		if last {
			return
		}
	}
}

// minWatchdog is the shortest watchdog that is fed; nobody means a shorter one.
const minWatchdog = time.Millisecond

func (s *Systemd) report(err error) {
	if err != nil && s.failed != nil {
		s.failed(err)
		s.failed = nil
	}
}

// take returns what is unsent, as one message.
func (s *Systemd) take() (text string, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(s.unsent)) {
		lines = append(lines, name+"="+s.unsent[name])
	}
	clear(s.unsent)
	return strings.Join(lines, "\n"), s.last
}

// maxStatus keeps a message below 4096 bytes: systemd drops longer ones, READY=1
// and all.
const maxStatus = 1000

// line makes a status of a text that may hold a peer's words: a line break in it
// would begin a message of its own, such as READY=1.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxStatus {
		text = strings.ToValidUTF8(text[:maxStatus], "") + "..."
	}
	return text
}
