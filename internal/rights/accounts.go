package rights

import (
	"bufio"
	"io"
	"slices"
	"strings"
)

// passwdEntry is a line name:password:uid:gid:comment:home:shell of passwd(5).
type passwdEntry struct {
	name     string
	uid, gid int
	home     string
}

// groupEntry is a line name:password:gid:member,member of group(5).
type groupEntry struct {
	name    string
	gid     int
	members []string
}

// user adds the supplementary groups, as initgroups(3) does.
func (e passwdEntry) user(groups []groupEntry) User {
	u := User{UID: e.uid, GID: e.gid, Name: e.name, Home: e.home}
	for _, group := range groups {
		if group.gid != u.GID && slices.Contains(group.members, e.name) && !slices.Contains(u.Groups, group.gid) {
			u.Groups = append(u.Groups, group.gid)
		}
	}
	return u
}

func findUID(entries []passwdEntry, uid int) (passwdEntry, bool) {
	i := slices.IndexFunc(entries, func(e passwdEntry) bool { return e.uid == uid })
	if i < 0 {
		return passwdEntry{}, false
	}
	return entries[i], true
}

// parsePasswd skips lines it does not understand, as libc does: comments, NIS
// "+" lines, numbers out of range.
func parsePasswd(r io.Reader) ([]passwdEntry, error) {
	var entries []passwdEntry
	err := eachLine(r, func(fields []string) {
		if len(fields) < 6 {
			return
		}
		uid, _, uidOK := parseID(fields[2])
		gid, _, gidOK := parseID(fields[3])
		if uidOK && gidOK {
			entries = append(entries, passwdEntry{name: fields[0], uid: uid, gid: gid, home: fields[5]})
		}
	})
	return entries, err
}

func parseGroup(r io.Reader) ([]groupEntry, error) {
	var entries []groupEntry
	err := eachLine(r, func(fields []string) {
		if len(fields) < 4 {
			return
		}
		if gid, _, ok := parseID(fields[2]); ok {
			entries = append(entries, groupEntry{name: fields[0], gid: gid, members: strings.Split(fields[3], ",")})
		}
	})
	return entries, err
}

// maxLine is far beyond a group with thousands of members.
const maxLine = 1 << 20

func eachLine(r io.Reader, use func(fields []string)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.ContainsAny(line[:1], "#+-:") {
			continue
		}
		use(strings.Split(line, ":"))
	}
	return lines.Err()
}
