package rights

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// User is who the gateway runs as.
type User struct {
	UID, GID int
	// Groups are the supplementary ones, GID not among them.
	Groups []int
	// Name and Home are empty where /etc/passwd has no entry for UID.
	Name string
	Home string
}

// String is UID:GID, as chown takes it.
func (u User) String() string { return fmt.Sprintf("%d:%d", u.UID, u.GID) }

// UserError says why no user could be made of what was asked for.
type UserError struct {
	Spec   string
	Reason string
}

func (e *UserError) Error() string { return fmt.Sprintf("cannot use user %q: %s", e.Spec, e.Reason) }
func (e *UserError) Class() string { return "usage" }

// LookupUser reads "NAME", "UID", or either with ":GID" or ":GROUP". A uid
// without an entry in /etc/passwd is fine (OpenShift, TrueNAS); its group is
// then the one of the same number, not root's as Docker has it: an unnamed user
// should not inherit root's group unless told so. Numbers go to 2147483647. An
// error is a *UserError when the spec is at fault.
func LookupUser(spec string) (User, error) {
	passwd, group, err := readAccounts()
	if err != nil {
		return User{}, err
	}
	return resolveUser(spec, passwd, group)
}

// Env returns a copy of env with HOME, USER and LOGNAME of the user. Without a
// name USER and LOGNAME are left out. Without a home, HOME stays what the image
// has set; root's, or none, becomes "/" as in Docker. Meant for after a drop: a
// container that was started as its user has the environment it wants.
func (u User) Env(env []string) []string {
	home := u.Home
	kept := make([]string, 0, len(env)+3)
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		switch name {
		case "USER", "LOGNAME":
		case "HOME":
			if home == "" && value != "/root" {
				home = value
			}
		default:
			kept = append(kept, entry)
		}
	}
	if home == "" {
		home = "/"
	}
	kept = append(kept, "HOME="+home)
	if u.Name != "" {
		kept = append(kept, "USER="+u.Name, "LOGNAME="+u.Name)
	}
	return kept
}

func resolveUser(spec string, passwd []passwdEntry, groups []groupEntry) (User, error) {
	name, groupName, groupAsked := strings.Cut(spec, ":")
	if name == "" || (groupAsked && groupName == "") {
		return User{}, &UserError{spec, "want NAME or UID, then nothing or :GID"}
	}
	var u User
	// A number is a uid even where an account is named so: `--user 1000` must
	// not depend on what /etc/passwd calls somebody.
	if uid, isNumber, ok := parseID(name); isNumber {
		if !ok {
			return User{}, &UserError{spec, "the uid is out of range"}
		}
		u = User{UID: uid, GID: uid}
		if entry, found := findUID(passwd, uid); found {
			u = entry.user(groups)
		}
	} else {
		i := slices.IndexFunc(passwd, func(e passwdEntry) bool { return e.name == name })
		if i < 0 {
			return User{}, &UserError{spec, "no such user in /etc/passwd; a number works without an entry"}
		}
		u = passwd[i].user(groups)
	}
	if !groupAsked {
		return u, nil
	}
	gid, isNumber, ok := parseID(groupName)
	if isNumber && !ok {
		return User{}, &UserError{spec, "the gid is out of range"}
	}
	if !isNumber {
		i := slices.IndexFunc(groups, func(e groupEntry) bool { return e.name == groupName })
		if i < 0 {
			return User{}, &UserError{spec, "no such group in /etc/group; a number works without an entry"}
		}
		gid = groups[i].gid
	}
	u.GID = gid
	// As Docker: whoever names a group gets that one alone.
	u.Groups = nil
	return u, nil
}

// parseID reads a uid or gid. (uid_t)-1 means "leave as it is" to the kernel
// and must never come out of here, so 31 bits it is.
func parseID(text string) (id int, isNumber, inRange bool) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false, false
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), true, err == nil
}

// readAccounts reads /etc/passwd and /etc/group as they are: no NSS, so the
// answer does not depend on how this program was built. An image without them
// has no names, which is no error.
//
// Not os/user: its own reader (-tags osusergo) is no part of a build with cgo, as
// the tests under the race detector are, takes a uid of 4294967295, which the
// kernel reads as "leave as it is", and cannot be given other files to read.
func readAccounts() ([]passwdEntry, []groupEntry, error) {
	passwd, err := readAccountFile("/etc/passwd", parsePasswd)
	if err != nil {
		return nil, nil, err
	}
	groups, err := readAccountFile("/etc/group", parseGroup)
	return passwd, groups, err
}

func readAccountFile[T any](path string, parse func(io.Reader) ([]T, error)) ([]T, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read accounts: %w", err)
	}
	defer func() { _ = file.Close() }()
	entries, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read accounts in %s: %w", path, err)
	}
	return entries, nil
}
