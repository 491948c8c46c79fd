package rights

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const samplePasswd = `root:x:0:0:root:/root:/bin/bash
# comment
+nis::::::
node:x:1000:1000:,,,:/home/node:/bin/bash
short:x:5
huge:x:4294967295:1:::
1234:x:77:77::/home/number:
`

const sampleGroup = `root:x:0:
node:x:1000:node
audio:x:29:pulse,node
video:x:44:node
dup:x:44:node
bad:x:nan:node
`

func sample(t testing.TB) ([]passwdEntry, []groupEntry) {
	t.Helper()
	passwd, err := parsePasswd(strings.NewReader(samplePasswd))
	if err != nil {
		t.Fatal(err)
	}
	groups, err := parseGroup(strings.NewReader(sampleGroup))
	if err != nil {
		t.Fatal(err)
	}
	return passwd, groups
}

func TestAUserSpecIsRead(t *testing.T) {
	node := User{UID: 1000, GID: 1000, Groups: []int{29, 44}, Name: "node", Home: "/home/node"}
	cases := map[string]struct {
		spec  string
		want  User
		fault string
	}{
		"a name":                           {"node", node, ""},
		"a number with an entry":           {"1000", node, ""},
		"a number without an entry":        {"568", User{UID: 568, GID: 568}, ""},
		"numbers without an entry":         {"568:100", User{UID: 568, GID: 100}, ""},
		"root's group only when told":      {"568:0", User{UID: 568, GID: 0}, ""},
		"a name with a group drops others": {"node:44", User{UID: 1000, GID: 44, Name: "node", Home: "/home/node"}, ""},
		"a group by name":                  {"node:audio", User{UID: 1000, GID: 29, Name: "node", Home: "/home/node"}, ""},
		"a number is a uid, not a name":    {"1234", User{UID: 1234, GID: 1234}, ""},
		"nothing":                          {"", User{}, "want NAME"},
		"no user":                          {":5", User{}, "want NAME"},
		"no group after the colon":         {"node:", User{}, "want NAME"},
		"an unknown name":                  {"nobody-here", User{}, "no such user"},
		"an unknown group":                 {"node:nothere", User{}, "no such group"},
		"minus one":                        {"-1", User{}, "out of range"},
		"minus one unsigned":               {"4294967295", User{}, "out of range"},
		"beyond":                           {"99999999999999999999", User{}, "out of range"},
		"a gid out of range":               {"5:4294967295", User{}, "out of range"},
		"two colons":                       {"5:5:5", User{}, "no such group"},
	}
	passwd, groups := sample(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := resolveUser(c.spec, passwd, groups)
			if c.fault == "" && (err != nil || !reflect.DeepEqual(got, c.want)) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
			var fault *UserError
			if c.fault != "" && (!errors.As(err, &fault) || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("got %v, want %q", err, c.fault)
			}
		})
	}
}

func TestTheEnvironmentIsTheUsers(t *testing.T) {
	cases := map[string]struct {
		user      User
		env, want []string
	}{
		"a named user": {
			User{UID: 1000, Name: "node", Home: "/home/node"},
			[]string{"A=1", "HOME=/root", "USER=root", "odd"},
			[]string{"A=1", "odd", "HOME=/home/node", "USER=node", "LOGNAME=node"},
		},
		"an unnamed user loses root's home": {
			User{UID: 568}, []string{"HOME=/root", "USER=root", "LOGNAME=root"}, []string{"HOME=/"},
		},
		"an unnamed user keeps the image's home": {
			User{UID: 568}, []string{"HOME=/home/node", "B=2"}, []string{"B=2", "HOME=/home/node"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.env)
			if got := c.user.Env(c.env); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if !slices.Equal(c.env, before) {
				t.Error("the given slice was changed")
			}
		})
	}
}

func TestTheOwnerIsWhoALinkOfRootsPointsAtAndElseTheLinksOwn(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(in("directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"root's": in("directory"), "root's relative": "directory", "somebody's": "/", "root's to somebody's": "somebody's", "loop": "loop",
	} {
		if err := os.Symlink(target, in(link)); err != nil {
			t.Fatal(err)
		}
	}
	// Beyond a directory that is a link, ".." is not where it seems to be.
	if err := errors.Join(os.MkdirAll(in("far/volume"), 0o755), os.Mkdir(in("far/state"), 0o700), os.Chown(in("far/state"), 45682, 45683),
		os.Symlink("far/volume", in("mount")), os.Symlink("../state", in("far/volume/link"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chown(in("directory"), 45678, 45679), os.Lchown(in("somebody's"), 45680, 45681)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]User{
		"directory": {UID: 45678, GID: 45679}, "root's": {UID: 45678, GID: 45679}, "root's relative": {UID: 45678, GID: 45679},
		"mount/link": {UID: 45682, GID: 45683},
		"somebody's": {UID: 45680, GID: 45681}, "root's to somebody's": {UID: 45680, GID: 45681},
	} {
		if got, err := OwnerOf(in(name), false); err != nil || got.String() != want.String() {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, want)
		}
	}
	if _, err := OwnerOf(in("loop"), false); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link to itself: got %v, want too many links", err)
	}
	// Missing in root's place it is root's, and elsewhere the place's.
	if got, err := OwnerOf(in("none"), false); err != nil || got.UID != 0 {
		t.Errorf("got %v, %v, want root", got, err)
	}
	if got, err := OwnerOf(in("directory/none"), false); err != nil || got.String() != "45678:45679" {
		t.Errorf("got %v, %v, want the owner of the directory that it is missing in", got, err)
	}
}

func FuzzUserSpec(f *testing.F) {
	for _, spec := range []string{"node", "1000", "568:568", "node:audio", ":", "-1", "0:0", "4294967295", "+5", "٣"} {
		f.Add(spec)
	}
	passwd, groups := sample(f)
	f.Fuzz(func(t *testing.T, spec string) {
		u, err := resolveUser(spec, passwd, groups)
		if err != nil {
			return
		}
		if u.UID < 0 || u.GID < 0 {
			t.Errorf("%q became %v", spec, u)
		}
		if u.UID == 0 && strings.Trim(strings.SplitN(spec, ":", 2)[0], "0") != "" && !strings.HasPrefix(spec, "root") {
			t.Errorf("%q became root", spec)
		}
	})
}

func FuzzAccounts(f *testing.F) {
	f.Add(samplePasswd)
	f.Add(sampleGroup)
	f.Add("a:b:1:2:c:d")
	f.Add(":::::::\n#\n+\n")
	f.Fuzz(func(t *testing.T, text string) {
		passwd, err := parsePasswd(strings.NewReader(text))
		groups, groupErr := parseGroup(strings.NewReader(text))
		if err != nil || groupErr != nil {
			return
		}
		for _, entry := range passwd {
			u := entry.user(groups)
			if u.UID < 0 || u.GID < 0 || slices.Contains(u.Groups, u.GID) {
				t.Errorf("%q became %+v", text, u)
			}
		}
	})
}
