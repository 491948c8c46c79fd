package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Owner is whose socket listens at an address.
type Owner struct {
	UID int
	// PID is 0 where it is unknown: without CAP_SYS_PTRACE the kernel shows
	// nobody the files of another user's processes.
	PID   int
	inode string
}

func (o Owner) String() string {
	if o.PID == 0 {
		return fmt.Sprintf("uid %d, process not visible", o.UID)
	}
	return fmt.Sprintf("pid %d, uid %d", o.PID, o.UID)
}

// ForeignError says that somebody else listens where the gateway is expected.
type ForeignError struct {
	Address string
	Owner   Owner
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("what listens at %s is not the gateway that was started, but %v", e.Address, e.Owner)
}

// Tree is the processes that began with a child of ours: its descendants, and those
// that became ours when their parents ended, for which this process has to be PID 1
// or a subreaper. It may be used from many goroutines.
type Tree struct {
	child int

	mu    sync.Mutex
	known map[string]Owner // sockets of the tree, by inode
}

// NewTree is the tree of a child, by its pid.
func NewTree(child int) *Tree { return &Tree{child: child, known: map[string]Owner{}} }

// Listener is whose socket a connection to HOST:PORT reaches, numbers both, on this
// machine; the zero value where nobody listens there. Where another than a process
// of the tree does, the error is a [*ForeignError].
//
// Where the files of the tree's own processes are not shown, what counts is the
// user: the socket has to be of the same as this process, or as one of those.
func (t *Tree) Listener(address string) (Owner, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return Owner{}, fmt.Errorf("cannot tell who listens: %q is not HOST:PORT", address)
	}
	all, err := sockets(int(to.Port()))
	if err != nil {
		return Owner{}, fmt.Errorf("cannot tell who listens at %s: %w", address, err)
	}
	var owner Owner
	for _, s := range all {
		if s.address != to.Addr().Unmap() && !s.address.IsUnspecified() && !to.Addr().IsUnspecified() {
			continue
		}
		found, ours := t.owns(s)
		if !ours {
			return Owner{}, &ForeignError{Address: address, Owner: found}
		}
		owner = found
	}
	return owner, nil
}

// Socket is one word for the socket, which no later one has; empty for none.
func (o Owner) Socket() string { return o.inode }

func (t *Tree) owns(s socket) (Owner, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.known[s.inode]; ok {
		return known, true
	}
	owner := Owner{UID: s.uid, inode: s.inode}
	hidden := false // a process of the tree whose files are not shown
	for _, p := range t.processes() {
		hasSocket, err := p.hasSocket(s.inode)
		switch {
		case hasSocket && (p.below || s.uid == os.Geteuid()):
			owner.PID = p.pid
			t.known = map[string]Owner{s.inode: owner} // the one before is gone
			return owner, true
		case err != nil && (s.uid == os.Geteuid() || p.below && s.uid == p.uid):
			hidden = true
		}
	}
	if !hidden {
		owner.PID = pidWithSocket(s.inode)
	}
	return owner, hidden
}

// process is one of the tree's; below is false for one that became ours later: it
// may be anybody's whose parent has ended in this container.
type process struct {
	pid, uid int
	below    bool
}

// processes are those of the tree at this moment.
func (t *Tree) processes() (tree []process) {
	self, err := os.Readlink("/proc/self")
	if err != nil || self != strconv.Itoa(os.Getpid()) {
		// There is none, or another PID namespace's.
		return []process{{pid: -1, uid: os.Geteuid()}}
	}
	parents := map[int]int{}
	for _, pid := range pids() {
		if parent, ok := ParentOf(pid); ok {
			parents[pid] = parent
		}
	}
	for pid := range parents {
		ours, below := false, pid == t.child
		// The bound is for a table that changed while it was read.
		for at, steps := pid, 0; at > 0 && steps < len(parents) && !ours; steps++ {
			at = parents[at]
			ours = at == os.Getpid()
			below = below || at == t.child
		}
		if ours || below {
			tree = append(tree, process{pid: pid, uid: uidOf(pid), below: below})
		}
	}
	slices.SortFunc(tree, func(a, b process) int { return a.pid - b.pid })
	return tree
}

func pids() (all []int) {
	names, _ := filepath.Glob("/proc/[0-9]*") // the pattern is a good one
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// ParentOf is the parent of a process that can be seen. It reads the fourth field of
// /proc/PID/stat; the second is a name in brackets, which may have anything in it.
func ParentOf(pid int) (parent int, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	_, rest, found := strings.Cut(string(stat[max(0, strings.LastIndexByte(string(stat), ')')):]), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 2 {
		return 0, false
	}
	parent, err = strconv.Atoi(fields[1])
	return parent, err == nil
}

// uidOf is the effective user, -1 where there is no such process any more.
func uidOf(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "Uid:" {
			if uid, err := strconv.Atoi(fields[2]); err == nil {
				return uid
			}
		}
	}
	return -1
}

// hasSocket tells whether a process has the socket of an inode open.
func (p process) hasSocket(inode string) (bool, error) {
	open, err := openSockets(p.pid)
	return slices.Contains(open, inode), err
}

// openSockets are the inodes of the sockets that a process has open.
func openSockets(pid int) (inodes []string, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		to, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if inode, isSocket := strings.CutPrefix(to, "socket:["); err == nil && isSocket {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes, nil
}

// pidWithSocket is any process that has the socket open, as far as is shown; 0 else.
func pidWithSocket(inode string) int {
	for _, pid := range pids() {
		if hasSocket, _ := (process{pid: pid}).hasSocket(inode); hasSocket {
			return pid
		}
	}
	return 0
}

// OnThisMachine are the addresses of this machine that a HOST:PORT means.
func OnThisMachine(ctx context.Context, address string) (own []string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host) // a number is itself
	if err != nil {
		return nil // it cannot be dialled, either
	}
	interfaces, _ := net.InterfaceAddrs()
	for _, text := range addresses {
		ip := net.ParseIP(text)
		if ip == nil {
			continue
		}
		if ip.IsLoopback() || ip.IsUnspecified() || slices.ContainsFunc(interfaces, func(a net.Addr) bool {
			network, ok := a.(*net.IPNet)
			return ok && network.IP.Equal(ip)
		}) {
			own = append(own, net.JoinHostPort(text, port))
		}
	}
	return own
}

// Process is a gateway that runs.
type Process struct {
	PID int
	// Port is the lowest at which it listens, else that of its arguments; 0 where
	// neither is shown.
	Port int
	// Boots: it listens nowhere yet. False where that is not shown.
	Boots bool
}

// Running tells whether a process that this one can see looks like an OpenClaw
// gateway on a state directory: one that boots already, and does not listen yet.
// Once it runs, the program is named "openclaw" or "openclaw-gateway" in place
// of its arguments (2026.5.28 to 2026.9.6), as its CLI is. Processes of other
// users are not looked at.
func Running(stateDir string) bool {
	_, running := Serving(stateDir)
	return running
}

// Serving is the process that [Running] speaks of; one that listens, where there is one.
func Serving(stateDir string) (serving Process, running bool) {
	directory, err := os.Stat(stateDir)
	if err != nil {
		return Process{}, false
	}
	for _, pid := range pids() {
		serves, port, known, _ := served(pid)
		if !known || !os.SameFile(directory, serves) {
			continue
		}
		found := Process{PID: pid, Port: port}
		if ports, err := listensAt(pid); err == nil {
			found.Boots = len(ports) == 0
			if !slices.Contains(ports, port) && len(ports) > 0 {
				found.Port = ports[0]
			}
		}
		if found.Boots && startsCommand(pid) {
			continue
		}
		if serving, running = found, true; !serving.Boots {
			break
		}
	}
	return serving, running
}

// ServedElsewhere tells whether a gateway on another state directory listens at a port, as
// far as its process is shown.
func ServedElsewhere(port int, stateDir string) bool {
	directory, err := os.Stat(stateDir)
	if err != nil {
		return false
	}
	all, _ := sockets(port)
	return slices.ContainsFunc(all, func(s socket) bool {
		serves, _, known, certain := served(pidWithSocket(s.inode))
		return known && certain && !os.SameFile(directory, serves)
	})
}

// served is the state directory of a gateway's process, seen with its eyes, for it may live
// in a container; known is false where a process is no gateway's, and certain where a
// title hides its arguments, which may name a profile, and its environment no directory.
func served(pid int) (directory os.FileInfo, port int, known, certain bool) {
	process := fmt.Sprintf("/proc/%d", pid)
	path, port, known, certain := processStateDir(process)
	if !known {
		return nil, 0, false, false
	}
	directory, err := os.Stat(filepath.Join(process, "root", path))
	return directory, port, err == nil, certain
}

// startsCommand tells whether a process has a child that is another command of OpenClaw's
// than the gateway: 2026.8.2 and 2026.9.5 start "openclaw logs" once more, and the first
// process keeps the title "openclaw" for as long as that runs.
func startsCommand(pid int) bool {
	title := func(pid int) string { return strings.Join(nulSeparated(fmt.Sprintf("/proc/%d/cmdline", pid)), " ") }
	return title(pid) == packageName && slices.ContainsFunc(pids(), func(other int) bool {
		parent, _ := ParentOf(other)
		return parent == pid && strings.HasPrefix(title(other), packageName+"-") && title(other) != packageName+"-gateway"
	})
}

// listensAt are the ports at which a process listens, sorted.
func listensAt(pid int) (ports []int, err error) {
	open, err := openSockets(pid)
	if err != nil {
		return nil, err
	}
	// Its own network namespace's, which may be another.
	all, err := tableListeners(fmt.Sprintf("/proc/%d", pid), 0)
	for _, s := range all {
		if slices.Contains(open, s.inode) {
			ports = append(ports, s.port)
		}
	}
	slices.Sort(ports)
	return ports, err
}

// processStateDir is the state directory of a gateway, in its own root, and the port
// that it was given; known is false where a process is none.
func processStateDir(process string) (dir string, port int, known, certain bool) {
	argv := nulSeparated(filepath.Join(process, "cmdline"))
	if len(argv) == 0 || !strings.Contains(strings.Join(argv, " "), packageName) {
		return "", 0, false, false // most processes, at the price of one read
	}
	env := Environment{Vars: map[string]string{}}
	for _, pair := range nulSeparated(filepath.Join(process, "environ")) {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env.Vars[name] = value
		}
	}
	if len(env.Vars) == 0 {
		return "", 0, false, false // another user's
	}
	env.Dir, _ = os.Readlink(filepath.Join(process, "cwd"))
	command := ParseCommand(argv, env)
	titled := len(argv) == 1 && (argv[0] == packageName || argv[0] == packageName+"-gateway")
	if !command.Understood && !titled {
		return "", 0, false, false
	}
	certain = command.Understood || env.trimmed("OPENCLAW_STATE_DIR") != ""
	return StateDir(env, command.Profile, Release{}), command.Port, true, certain
}

// nulSeparated reads the strings of a file of /proc; a title that replaces the
// arguments leaves empty ones behind.
func nulSeparated(path string) (values []string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil // gone, or another user's
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == 0 })
}
