//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// call is one system call that concerns the volume, or that says that all is done.
type call struct {
	op string
	// path is what is changed, from the volume's own root on; for a rename the new
	// name. Of a call that makes a descriptor without a path, such as a socket, it is
	// empty.
	path string
	// from is a rename's old name.
	from   string
	flags  uint64
	offset int64
	data   []byte
	// result is what it returned: an error is negative.
	result int64
	// made: the file was not there before, or it is made longer.
	made bool
}

// The operations that mean something beyond their name.
const (
	opOpen     = "open" // for writing
	opRead     = "open-to-read"
	opWrite    = "write"
	opTruncate = "ftruncate"
	opSync     = "fsync"
	opSyncAll  = "syncfs" // all of the filesystem
	opRename   = "rename"
	opUnlink   = "unlink"
	opMkdir    = "mkdir"
	opLock     = "lock"
	opReport   = "report" // to standard output, or by starting the gateway
	opSocket   = "socket"
)

// calledExec is the path of a report that is an exec.
const calledExec = "exec"

// swaps tells of a rename that gives each of two files the other's name.
func (c call) swaps() bool { return c.op == opRename && c.flags&unix.RENAME_EXCHANGE != 0 }

func (c call) key() string { return c.op + " " + c.path }

// spec says where a system call has what; -1 where it has none of that.
type spec struct {
	op                string
	fd, dir, path     int
	toDir, to         int // of two names
	flags, data, size int
}

func onFile(op string) spec {
	return spec{op: op, fd: 0, dir: -1, path: -1, toDir: -1, to: -1, flags: -1, data: -1, size: -1}
}

func onPath(op string, dir, path, flags int) spec {
	return spec{op: op, fd: -1, dir: dir, path: path, toDir: -1, to: -1, flags: flags, data: -1, size: -1}
}

func onTwo(op string, dir, path, toDir, to int) spec {
	return spec{op: op, fd: -1, dir: dir, path: path, toDir: toDir, to: to, flags: -1, data: -1, size: -1}
}

// specs are the calls by number, the old ones of amd64 among them: code translated
// from C, as SQLite's is here, makes those.
func specs() map[uint64]spec {
	write, pwrite, lock, control := onFile(opWrite), onFile(opWrite), onFile(opLock), onFile(opLock)
	exchange := onTwo(opRename, 0, 1, 2, 3)
	exchange.flags = 4
	write.data, write.size = 1, 2
	pwrite.data, pwrite.size, pwrite.flags = 1, 2, 3
	control.flags = 1
	return map[uint64]spec{
		unix.SYS_OPEN: onPath(opOpen, -1, 0, 1), unix.SYS_OPENAT: onPath(opOpen, 0, 1, 2),
		unix.SYS_WRITE: write, unix.SYS_PWRITE64: pwrite,
		unix.SYS_FTRUNCATE: onFile(opTruncate), unix.SYS_FALLOCATE: onFile("fallocate"),
		unix.SYS_FSYNC: onFile(opSync), unix.SYS_FDATASYNC: onFile(opSync),
		unix.SYS_SYNCFS: onFile(opSyncAll),
		unix.SYS_RENAME: onTwo(opRename, -1, 0, -1, 1), unix.SYS_RENAMEAT: onTwo(opRename, 0, 1, 2, 3),
		unix.SYS_RENAMEAT2: exchange,
		unix.SYS_LINK:      onTwo("link", -1, 0, -1, 1), unix.SYS_LINKAT: onTwo("link", 0, 1, 2, 3),
		unix.SYS_UNLINK: onPath(opUnlink, -1, 0, -1), unix.SYS_UNLINKAT: onPath(opUnlink, 0, 1, -1),
		unix.SYS_RMDIR: onPath(opUnlink, -1, 0, -1),
		unix.SYS_MKDIR: onPath(opMkdir, -1, 0, -1), unix.SYS_MKDIRAT: onPath(opMkdir, 0, 1, -1),
		unix.SYS_CHMOD: onPath("chmod", -1, 0, -1), unix.SYS_FCHMODAT: onPath("chmod", 0, 1, -1),
		unix.SYS_FCHMOD: onFile("chmod"), unix.SYS_FCHOWN: onFile("chown"),
		unix.SYS_CHOWN: onPath("chown", -1, 0, -1), unix.SYS_FCHOWNAT: onPath("chown", 0, 1, -1),
		unix.SYS_FLOCK: lock, unix.SYS_FCNTL: control,
	}
}

// decode says what a thread's call is about; false where it does not concern the
// volume.
func (t *tracer) decode(tid int, number uint64, args [6]uint64) (call, bool) {
	switch number {
	case unix.SYS_SOCKET, unix.SYS_PIPE2:
		return call{op: opSocket}, true
	case unix.SYS_EXECVE:
		return call{op: opReport, path: calledExec}, true
	case unix.SYS_CLONE:
		return call{op: opReport, path: "fork"}, args[0]&unix.CLONE_VFORK != 0
	}
	s, known := t.specs[number]
	if !known {
		return call{}, false
	}
	c := call{op: s.op}
	if s.flags >= 0 {
		c.flags = args[s.flags]
	}
	switch number {
	case unix.SYS_WRITE:
		if args[0] == 1 {
			return call{op: opReport, path: "stdout"}, true
		}
		c.offset = -1
	case unix.SYS_PWRITE64:
		c.flags, c.offset = 0, int64(c.flags)
	case unix.SYS_FTRUNCATE:
		c.offset = int64(args[1])
	case unix.SYS_FCNTL:
		if c.flags != unix.F_SETLK && c.flags != unix.F_OFD_SETLK {
			return call{}, false
		}
	case unix.SYS_OPEN, unix.SYS_OPENAT:
		if c.flags&unix.O_PATH != 0 {
			return call{}, false
		}
		if c.flags&(unix.O_ACCMODE|unix.O_CREAT|unix.O_TRUNC) == 0 {
			c.op = opRead
		}
	}
	var inside bool
	if c.path, inside = t.pathOf(tid, s.fd, s.dir, s.path, args); !inside {
		return call{}, false
	}
	if s.to >= 0 {
		c.from = c.path
		c.path, _ = t.pathOf(tid, -1, s.toDir, s.to, args)
	}
	if s.data >= 0 {
		c.data = readMemory(tid, args[s.data], int(args[s.size]))
	}
	switch info, err := os.Lstat(filepath.Join(t.root, c.path)); c.op {
	case opOpen:
		c.made = err != nil
	case opTruncate:
		c.made = err == nil && info.Size() < c.offset
	}
	return c, true
}

// pathOf is the path that a call names, from the volume's root on; false where it
// lies elsewhere.
func (t *tracer) pathOf(tid, fd, dir, path int, args [6]uint64) (string, bool) {
	link := func(fd int32) string {
		target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
		return strings.TrimSuffix(target, " (deleted)")
	}
	var full string
	if fd >= 0 {
		full = link(int32(args[fd]))
	} else {
		full = readString(tid, args[path])
		if dir >= 0 && !filepath.IsAbs(full) && int32(args[dir]) != unix.AT_FDCWD {
			full = filepath.Join(link(int32(args[dir])), full)
		}
	}
	inside, err := filepath.Rel(t.root, full)
	return inside, err == nil && filepath.IsAbs(full) && inside != ".." && !strings.HasPrefix(inside, "../")
}

func readString(tid int, at uint64) string {
	const page = 4096
	var out []byte
	for len(out) < page {
		part := readMemory(tid, at+uint64(len(out)), page-int(at+uint64(len(out)))%page)
		if end := bytes.IndexByte(part, 0); end >= 0 {
			return string(append(out, part[:end]...))
		}
		if len(part) == 0 {
			break
		}
		out = append(out, part...)
	}
	return ""
}

func readMemory(tid int, at uint64, size int) []byte {
	if size <= 0 {
		return nil
	}
	data := make([]byte, size)
	local := []unix.Iovec{{Base: &data[0], Len: uint64(size)}}
	n, err := unix.ProcessVMReadv(tid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: size}}, 0)
	if err != nil {
		return nil
	}
	return data[:n]
}
