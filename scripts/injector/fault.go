//go:build linux && amd64

package main

import (
	"syscall"
)

// kind is what is done to one system call.
type kind string

const (
	killBefore kind = "kill before"
	killAfter  kind = "kill after"
	ioError    kind = "EIO"
	noSpace    kind = "ENOSPC"
	full       kind = "full disk" // ENOSPC from that call on
	noFiles    kind = "EMFILE"    // from that call on, for files
	short      kind = "short"     // half is written
	torn       kind = "torn"      // half is written, and then there is no room
	powerLoss  kind = "power loss"
)

func kinds() []kind {
	return []kind{killBefore, killAfter, ioError, noSpace, full, noFiles, short, torn, powerLoss}
}

// applies tells whether a kind can happen to a call.
func (k kind) applies(c call) bool {
	switch k {
	case killBefore, killAfter:
		if k == killAfter && c.path == calledExec {
			return false // by then it is the gateway
		}
		return c.op != opRead && c.op != opLock && c.op != opSocket
	case ioError:
		return c.op != opReport && c.op != opSocket
	case noSpace:
		return needsRoom(c)
	case full:
		return needsRoom(c) && c.op != opSync && c.op != opSyncAll
	case noFiles:
		return c.op == opOpen || c.op == opRead || c.op == opSocket
	case short, torn:
		return c.op == opWrite && len(c.data) > 1
	}
	return false
}

// needsRoom tells whether a full disk can refuse a call; a sync too, where the
// filesystem looks for room late.
func needsRoom(c call) bool {
	switch c.op {
	case opOpen, opTruncate:
		return c.made
	case opWrite, opSync, opSyncAll, opRename, opMkdir, "fallocate", "link":
		return true
	}
	return false
}

// injection is one fault: at the nth call of the process with that key.
type injection struct {
	kind kind
	key  string
	nth  int

	count int
	hit   bool
	path  string // where it hit
}

// action is what is done to the call that is about to be made.
type action struct {
	kill, after bool
	errno       syscall.Errno
	short       int
}

// on is called with every call, in order. A nil injection does nothing.
func (i *injection) on(c call) action {
	if i == nil {
		return action{}
	}
	if i.hit {
		return i.later(c)
	}
	if c.key() != i.key {
		return action{}
	}
	if i.count++; i.count != i.nth || !i.kind.applies(c) {
		return action{}
	}
	i.hit, i.path = true, c.path
	switch i.kind {
	case killBefore:
		return action{kill: true}
	case killAfter:
		return action{kill: true, after: true}
	case ioError:
		return action{errno: syscall.EIO}
	case noSpace, full:
		return action{errno: syscall.ENOSPC}
	case noFiles:
		return action{errno: syscall.EMFILE}
	case short, torn:
		return action{short: len(c.data) / 2}
	}
	return action{}
}

// later is what a fault that lasts does to the calls behind it.
func (i *injection) later(c call) action {
	switch {
	case i.kind == full && full.applies(c), i.kind == torn && c.op == opWrite && c.path == i.path:
		return action{errno: syscall.ENOSPC}
	case i.kind == noFiles && noFiles.applies(c) && c.op != opSocket: // a watcher would try for good
		return action{errno: syscall.EMFILE}
	}
	return action{}
}

// injections are all that can be done to a run that made these calls.
func injections(calls []call) (all []*injection) {
	counts := map[string]int{}
	for _, c := range calls {
		counts[c.key()]++
		for _, k := range kinds() {
			if k.applies(c) {
				all = append(all, &injection{kind: k, key: c.key(), nth: counts[c.key()]})
			}
		}
	}
	return all
}
