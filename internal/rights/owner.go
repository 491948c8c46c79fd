package rights

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/shell"
)

// OwnerError says why it is not certain whose a state directory is.
type OwnerError struct {
	Path   string
	Reason string
	Err    error // nil where Reason says it all
	hint   string
}

func (e *OwnerError) Error() string {
	text := fmt.Sprintf("cannot take the user to run as from the owner of %s: %s", shell.Quote(e.Path), e.Reason)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}
func (e *OwnerError) Class() string { return "store" }

func (e *OwnerError) Unwrap() error { return e.Err }

func (e *OwnerError) Hint() string { return e.hint }

// OwnerOf returns the user to whom the state directory at path is left, where
// there is one or not: its owner, or whoever owns a directory on the way to it
// and could replace it by renaming; root where nobody else can. Root must not
// use the path as root unless the answer is root.
//
// A directory above a mount point decides nothing: the kernel does not rename
// what a file system is mounted on. In a sticky directory such as /tmp the owner
// of the entry decides; what is missing there can be anybody's in a moment, and
// is root's only where the caller creates it at once (willCreate) and asks again.
//
// Where two users other than root could decide, or where only the mode of root's
// own directory lets others replace it, there is no answer: an *OwnerError.
// The group is the user's own where /etc/passwd knows it, else the directory's.
func OwnerOf(path string, willCreate bool) (User, error) {
	if !filepath.IsAbs(path) {
		return User{}, &OwnerError{Path: path, Reason: "it is not an absolute path"}
	}
	w := walk{path: filepath.Clean(path), looks: true, willCreate: willCreate}
	return w.owner()
}

// RootsAlone tells whether root alone decides what is at path, a directory, and what is in
// it: [OwnerOf] a directory of root's in it, or what is missing there, is then root,
// without another look at all that is on the way. A directory that is safe from others as
// long as something is mounted there is not: they may be allowed to unmount it.
func RootsAlone(path string) bool {
	var stat unix.Stat_t
	if unix.Lstat(path, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFDIR || !onlyRootWrites(&stat) || !filepath.IsAbs(path) {
		return false
	}
	w := walk{path: filepath.Clean(path), looks: true}
	owner, err := w.owner()
	return err == nil && owner.UID == 0 && !w.foreign
}

// RequireRoots fails where OwnerOf, asked before, would now name another user
// than root. After it, nobody but root can put anything else at path.
func RequireRoots(path string) error {
	u, err := OwnerOf(path, false)
	if err != nil || u.UID == 0 {
		return err
	}
	return &OwnerError{
		Path: path, Reason: fmt.Sprintf("uid %d has made it meanwhile", u.UID),
		hint: fmt.Sprintf("start again to run as %d, or name the user to run as: --user (BOOTSTRAP_USER)", u.UID),
	}
}

func (w *walk) owner() (User, error) {
	fd, err := w.open()
	switch {
	case errors.Is(err, errSeen):
	case err != nil:
		return User{}, &OwnerError{Path: w.path, Reason: "it cannot be looked at", Err: err, hint: "name the user to run as: --user (BOOTSTRAP_USER)"}
	default:
		var stat unix.Stat_t
		err := unix.Fstat(fd, &stat)
		_ = unix.Close(fd)
		if err != nil {
			return User{}, &OwnerError{Path: w.path, Reason: "its owner cannot be read", Err: err}
		}
		w.claim(&stat, w.path)
	}
	switch {
	case len(w.claims) > 1:
		first, last := w.claims[0], w.claims[len(w.claims)-1]
		return User{}, &OwnerError{
			Path:   w.path,
			Reason: fmt.Sprintf("uid %d owns %s, and uid %d, who owns %s, can replace it", last.uid, shell.Quote(last.path), first.uid, shell.Quote(first.path)),
			hint:   fmt.Sprintf("--user %d (BOOTSTRAP_USER=%d), if that is meant; or as root: chown %d %s", last.uid, last.uid, last.uid, shell.Quote(first.path)),
		}
	case len(w.claims) == 1:
		return userOf(w.claims[0])
	case w.shared != "":
		return User{}, &OwnerError{
			Path:   w.path,
			Reason: "others than root can write " + shell.Quote(w.shared) + ", and so decide what is at that path",
			hint:   "as root: " + w.sharedHint + "   or name the user to run as: --user (BOOTSTRAP_USER); --user root stays root",
		}
	}
	return User{}, nil
}

// errSeen ends a walk that only looks: what comes next is missing, or is a link
// that root does not follow, and whose doing that is has been noted.
var errSeen = errors.New("seen")

// claim is a user other than root who decides what is at a path.
type claim struct {
	uid, gid int
	path     string // of what is theirs
}

// claim notes the owner of something on the way. Of the same user the last one
// counts: the state directory's own group, say.
func (w *walk) claim(stat *unix.Stat_t, path string) {
	if stat.Uid == 0 {
		return
	}
	c := claim{int(stat.Uid), int(stat.Gid), path}
	for i := range w.claims {
		if w.claims[i].uid == c.uid {
			w.claims[i] = c
			return
		}
	}
	w.claims = append(w.claims, c)
}

// decide notes who could put something else in place of the entry; entry is nil
// where there is none.
func (w *walk) decide(fd int, name string, dir, entry *unix.Stat_t) {
	if entry != nil && entry.Mode&unix.S_IFMT == unix.S_IFLNK {
		// Root's link is as good as its target. Somebody else's says itself whose
		// doing it is, wherever that is.
		w.claim(entry, filepath.Join(w.here, name))
	}
	if onlyRootWrites(dir) || (entry != nil && isMountPoint(fd, name, dir, entry)) {
		return
	}
	w.claim(dir, w.here)
	sticky := dir.Mode&unix.S_ISVTX != 0
	switch {
	case dir.Uid != 0:
	case sticky && entry != nil && (entry.Uid != 0 || rootDecides(dir, entry)):
		w.claim(entry, filepath.Join(w.here, name))
	case sticky && entry == nil:
		if !w.willCreate {
			w.shared, w.sharedHint = w.here, "install -d -m 0700 "+shell.Quote(w.path)
		}
	default:
		w.shared, w.sharedHint = w.here, "chmod go-w "+shell.Quote(w.here)
	}
}

// isMountPoint says whether a file system is mounted on the entry. Kernels before
// 5.8 do not say so for a directory that is mounted from its own file system.
func isMountPoint(fd int, name string, dir, entry *unix.Stat_t) bool {
	var extended unix.Statx_t
	err := unix.Statx(fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &extended)
	if err == nil && extended.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return extended.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	}
	return dir.Dev != entry.Dev
}

// userOf completes a uid by what /etc/passwd knows of it.
func userOf(c claim) (User, error) {
	passwd, group, err := readAccounts()
	if err != nil {
		return User{}, err
	}
	if entry, found := findUID(passwd, c.uid); found {
		return entry.user(group), nil
	}
	return User{UID: c.uid, GID: c.gid}, nil
}
