package rights

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// owned describes a path as "uid:gid mode".
func owned(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		return "missing"
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %04o", stat.Uid, stat.Gid, stat.Mode&0o7777)
}

// The user of these tests is 568:569; 700 is somebody else.
func TestTheStateFolderIsMadeReadyAsRoot(t *testing.T) {
	needRoot(t)
	const (
		linkFault = "is a symbolic link in a place that others than root can write"
		notEmpty  = "is not an empty directory of root"
	)
	cases := map[string]struct {
		setup string // shell, in an empty directory of root
		path  string // within it
		fault string // "" is success
		after []string
	}{
		"what is missing is created": {
			"", "a/b/state", "",
			[]string{"a", "0:0 0755", "a/b", "0:0 0755", "a/b/state", "568:569 0700"},
		},
		"parents made in the user's home are the user's": {
			"mkdir home; chown 568:570 home", "home/b/state", "",
			[]string{"home/b", "568:570 0755", "home/b/state", "568:569 0700"},
		},
		"an empty mount point of root is handed over": {
			"mkdir state", "state", "", []string{"state", "568:569 0755"},
		},
		"lost+found does not count": {
			"mkdir -p state/lost+found", "state", "", []string{"state", "568:569 0755", "state/lost+found", "0:0 0755"},
		},
		"a group that somebody chose stays": {
			"mkdir state; chown 0:2000 state; chmod 2775 state", "state", "", []string{"state", "568:2000 2775"},
		},
		"the user's own directory is left as it is, with root's files in it": {
			"mkdir state; touch state/x; chown 568:1 state; chmod 750 state", "state", "",
			[]string{"state", "568:1 0750", "state/x", "0:0 0644"},
		},
		"root's directory with content is an error": {
			"mkdir state; touch state/x", "state", notEmpty, []string{"state", "0:0 0755", "state/x", "0:0 0644"},
		},
		"somebody else's empty directory is an error": {
			"mkdir state; chown 700 state", "state", notEmpty, []string{"state", "700:0 0755"},
		},
		"content that the user's group may write is fine": {
			"mkdir state; touch state/x; chown 700:569 state; chmod 770 state", "state", "", []string{"state", "700:569 0770"},
		},
		"root's link in root's directory is followed": {
			"mkdir real; ln -s real/../real link", "link/state", "", []string{"real/state", "568:569 0700"},
		},
		"root's absolute link is followed": {
			`mkdir real; ln -s "$PWD/real" link`, "link/state", "", []string{"real/state", "568:569 0700"},
		},
		"a link planted as the last part": {
			"mkdir vol target; chown 700 vol; ln -s ../target vol/state", "vol/state", linkFault, []string{"target", "0:0 0755"},
		},
		"a link planted as a middle part": {
			"mkdir vol target; chown 700 vol; ln -s ../target vol/a", "vol/a/state", linkFault, []string{"target", "0:0 0755", "target/state", "missing"},
		},
		"a link planted by the user": {
			"mkdir vol target; chown 568 vol; ln -s ../target vol/state", "vol/state", linkFault, []string{"target", "0:0 0755"},
		},
		"a link in a directory that a group can write": {
			"mkdir vol target; chmod 775 vol; ln -s ../target vol/state", "vol/state", linkFault, []string{"target", "0:0 0755"},
		},
		"a link in a directory like /tmp": {
			"mkdir vol target; chmod 1777 vol; ln -s ../target vol/state", "vol/state", linkFault, []string{"target", "0:0 0755"},
		},
		"root's link deep below somebody else's directory": {
			"mkdir -p vol/roots target; chown 700 vol; ln -s ../../target vol/roots/state", "vol/roots/state", linkFault, []string{"target", "0:0 0755"},
		},
		"a dangling planted link creates nothing": {
			"mkdir vol; chown 700 vol; ln -s ../target vol/state", "vol/state", linkFault, []string{"target", "missing"},
		},
		"root's directory in a directory like /tmp is root's": {
			"mkdir -p tmp/own real; chmod 1777 tmp; ln -s ../../real tmp/own/link", "tmp/own/link/state", "", []string{"real/state", "568:569 0700"},
		},
		"links in a circle": {
			"ln -s two one; ln -s one two", "one/state", "too many symbolic links", nil,
		},
		"a file in the way": {
			"touch file", "file/state", "is not a directory", nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := arranged(t, c.setup)
			// A second run finds everything as it should be.
			for range 2 {
				err := PrepareStateDir(filepath.Join(dir, c.path), User{UID: 568, GID: 569})
				var fault *StateDirError
				if c.fault == "" && err != nil {
					t.Fatalf("unexpected: %v", err)
				}
				if c.fault != "" && (!errors.As(err, &fault) || !strings.Contains(err.Error(), c.fault)) {
					t.Fatalf("got %v, want %q", err, c.fault)
				}
				if c.fault == notEmpty && !strings.Contains(fault.Hint(), "chown -R 568:569 "+dir) {
					t.Errorf("hint %q", fault.Hint())
				}
			}
			for pair := range slices.Chunk(c.after, 2) {
				if got := owned(t, filepath.Join(dir, pair[0])); got != pair[1] {
					t.Errorf("%s is %s, want %s", pair[0], got, pair[1])
				}
			}
		})
	}
}

func TestARelativeStateFolderIsRefused(t *testing.T) {
	var fault *StateDirError
	if err := PrepareStateDir("state", User{}); !errors.As(err, &fault) {
		t.Errorf("got %v", err)
	}
}

// prepareAsUser drops to 568 and then prepares the directory.
func prepareAsUser(args []string) int {
	u := User{UID: 568, GID: 568}
	if err := Drop(u, false); err != nil {
		fmt.Println(err)
		return 1
	}
	err := PrepareStateDir(args[0], u)
	var fault *StateDirError
	if errors.As(err, &fault) {
		fmt.Printf("%v\nhint: %s\n", err, fault.Hint())
	}
	return 0
}

func TestWithoutRootWhatCannotBeWrittenIsRefused(t *testing.T) {
	needRoot(t)
	cases := map[string]struct{ setup, path, says string }{
		"the user's own place":  {"mkdir vol; chown 568 vol", "vol/a/state", ""},
		"root's directory":      {"mkdir state", "state", "cannot write it"},
		"nothing can be made":   {"mkdir vol", "vol/state", "hint: as root: mkdir -p"},
		"a place out of reach":  {"mkdir -m 700 vol; mkdir -m 777 vol/state", "vol/state", "permission denied"},
		"the group may write":   {"mkdir state; chown 0:568 state; chmod 770 state", "state", ""},
		"a link is followed":    {"mkdir real; chown 568 real; ln -s real state", "state", ""},
		"a dangling link fails": {"ln -s real state", "state", "cannot create it"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, up := range []string{dir, filepath.Dir(dir)} {
				if err := os.Chmod(up, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			setup := exec.Command("/bin/sh", "-ec", "umask 022; "+c.setup)
			setup.Dir = dir
			if out, err := setup.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			out, err := exec.Command(self(t), "helper:prepare", filepath.Join(dir, c.path)).Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if !strings.Contains(string(out), c.says) || (c.says == "") != (len(out) == 0) {
				t.Errorf("got %q, want %q", out, c.says)
			}
		})
	}
}

func TestARelativeFolderAndTheRootOfAllAreNoStateFolders(t *testing.T) {
	for path, fault := range map[string]string{"state": "not an absolute path", "/": "a directory of its own", "/..": "a directory of its own"} {
		err := PrepareStateDir(path, User{UID: os.Geteuid(), GID: os.Getegid()})
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
