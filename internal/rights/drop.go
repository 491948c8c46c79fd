// Package rights owns who the gateway runs as: users, the walk to a state
// directory that trusts no link of somebody else's, what that directory needs
// before the drop, and the drop of root's rights for good. It knows nothing of
// gateways, settings or pairing, and never logs; errors carry a Hint, the next
// command to type.
package rights

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// PrivilegeError says that this process cannot become User, or could become
// somebody else again.
type PrivilegeError struct {
	User User
	// Missing is the capability that is wanting, "" if that is not the reason.
	Missing string
	Err     error
}

func (e *PrivilegeError) Error() string {
	if e.Missing != "" {
		return fmt.Sprintf("cannot run as %s: %s is missing: %v", e.User, e.Missing, e.Err)
	}
	return fmt.Sprintf("cannot run as %s: %v", e.User, e.Err)
}
func (e *PrivilegeError) Class() string { return "store" }

func (e *PrivilegeError) Unwrap() error { return e.Err }

// Hint is how to start the container so that it works.
func (e *PrivilegeError) Hint() string {
	switch {
	case e.Missing == "":
		return fmt.Sprintf("docker run --user %s …", e.User)
	case os.Geteuid() == 0:
		return fmt.Sprintf("docker run --cap-add SETUID --cap-add SETGID …, or without a drop: docker run --user %s …", e.User)
	default:
		return fmt.Sprintf("docker run --user %s …, or start as root with SETUID and SETGID", e.User)
	}
}

// Drop makes the whole process run as the user, for good: it then tries to
// come back and fails if that works. It does nothing when uid and gid are that
// user's already, so a container that starts as its user needs no capability.
// Every error is a *PrivilegeError; after one the process must end, for it may
// be half way.
//
// What root would leave behind goes, too: descriptors above 2 are not handed on
// to the command, the inheritable and ambient capabilities are cleared, and,
// unless mayGain, the bounding set as well, with no_new_privs: then no setuid
// program or file capability gains anything, for the command and all below it.
//
// The kernel makes the process undumpable by this, which is wanted: others of
// the same uid cannot read our memory. execve ends it for the gateway.
func Drop(u User, mayGain bool) error {
	if isAlready(u) {
		return nil
	}
	if u.UID < 0 || u.GID < 0 {
		return &PrivilegeError{User: u, Err: errors.New("negative id")}
	}
	if err := closeExtraOnExec(); err != nil {
		return &PrivilegeError{User: u, Err: fmt.Errorf("open descriptors would be handed on: %w", err)}
	}
	confined := !mayGain && u.UID != 0
	if confined {
		// While there is CAP_SETPCAP.
		if err := clearBoundingSet(); err != nil {
			return &PrivilegeError{User: u, Err: fmt.Errorf("cannot clear the bounding set: %w", err)}
		}
	}
	// Groups first, the uid last: without the uid the others are out of reach.
	// The syscall package's calls act on every thread.
	if err := syscall.Setgroups(u.Groups); err != nil {
		return dropError(u, "CAP_SETGID", err)
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return dropError(u, "CAP_SETGID", err)
	}
	if err := syscall.Setresuid(u.UID, u.UID, u.UID); err != nil {
		return dropError(u, "CAP_SETUID", err)
	}
	if err := clearInheritable(); err != nil {
		return &PrivilegeError{User: u, Err: fmt.Errorf("cannot clear the inheritable capabilities: %w", err)}
	}
	if confined {
		if err := forbidNewPrivileges(); err != nil {
			return &PrivilegeError{User: u, Err: fmt.Errorf("cannot set no_new_privs: %w", err)}
		}
	}
	return verifyDrop(u)
}

func isAlready(u User) bool {
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	return ruid == u.UID && euid == u.UID && suid == u.UID &&
		rgid == u.GID && egid == u.GID && sgid == u.GID
}

// dropError names the capability when the kernel said EPERM. Its other answer
// is EINVAL, for an id that the container's user namespace does not map.
func dropError(u User, capability string, err error) error {
	if errors.Is(err, syscall.EPERM) {
		return &PrivilegeError{User: u, Missing: capability, Err: err}
	}
	return &PrivilegeError{User: u, Err: err}
}

// verifyDrop fails when root can be regained: setuid bits kept by securebits,
// or capabilities that a process other than root was started with.
func verifyDrop(u User) error {
	if !isAlready(u) {
		return &PrivilegeError{User: u, Err: errors.New("the ids are not what was set")}
	}
	if u.UID != 0 && syscall.Setresuid(-1, 0, -1) == nil {
		return &PrivilegeError{User: u, Err: errors.New("root could be regained after the drop")}
	}
	if u.UID != 0 && u.GID != 0 && syscall.Setresgid(-1, 0, -1) == nil {
		return &PrivilegeError{User: u, Err: errors.New("root's group could be regained after the drop")}
	}
	return nil
}
