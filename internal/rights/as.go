package rights

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// As does something to files with the user's rights, while the process stays root:
// what that user has put on a path then leads only to where that user gets anyway,
// and what is made is the user's. Nothing else that do starts, no other goroutine
// and no program, has these rights. Not as root, do is just done.
//
// The kernel keeps what it asks for files (fsuid, fsgid, groups) for each thread,
// and takes the capabilities that override rights away from one whose fsuid is not
// root's. A thread that cannot get them back is ended.
func As(u User, do func() error) error {
	if os.Geteuid() != 0 || u.UID == 0 {
		return do()
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // a goroutine that ends so ends its thread
		groups, err := unix.Getgroups()
		if err == nil {
			err = become(u.UID, u.GID, u.Groups)
		}
		if err != nil {
			result <- &PrivilegeError{User: u, Err: err}
			return
		}
		defer func() {
			if become(0, os.Getegid(), groups) == nil {
				runtime.UnlockOSThread()
			}
		}()
		result <- do()
	}()
	return <-result
}

// become changes what this thread is to the kernel's checks of files. The calls
// are the plain ones of x/sys, which act on the one thread alone.
func become(uid, gid int, groups []int) error {
	if err := unix.Setgroups(groups); err != nil {
		return err
	}
	if _, err := unix.SetfsgidRetGid(gid); err != nil {
		return err
	}
	if _, err := unix.SetfsuidRetUid(uid); err != nil {
		return err
	}
	// They tell nothing of a failure but by what there is afterwards.
	isGID, _ := unix.SetfsgidRetGid(-1)
	isUID, _ := unix.SetfsuidRetUid(-1)
	if isUID != uid || isGID != gid {
		return errors.New("the kernel does not let this thread act as that user")
	}
	return nil
}
