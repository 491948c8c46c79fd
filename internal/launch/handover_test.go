package launch

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// codeOf is what a shell would show, so that exec and supervise compare.
func codeOf(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("cannot run helper: %v", err)
	}
	return exitCode(exit.Sys().(syscall.WaitStatus))
}

func bothWays(t *testing.T, test func(t *testing.T, mode string)) {
	for _, mode := range []string{"exec", "supervise"} {
		t.Run(mode, func(t *testing.T) { test(t, helperPrefix+mode) })
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestTheCommandsEndIsOurs(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "noexec"), "#!/bin/sh\n", 0o644)
	write(t, filepath.Join(dir, "garbage"), "\x00\x01\x02", 0o755)
	write(t, filepath.Join(dir, "lost"), "#!/no/such/interpreter\n", 0o755)
	write(t, filepath.Join(dir, "file"), "", 0o644)
	cases := map[string]struct {
		command []string
		code    int
		says    string
	}{
		"exit 0 stays 0":             {[]string{"SELF", "helper:exit", "0"}, 0, ""},
		"exit 1 stays 1":             {[]string{"SELF", "helper:exit", "1"}, 1, ""},
		"exit 42 stays 42":           {[]string{"SELF", "helper:exit", "42"}, 42, ""},
		"exit 78 stays 78":           {[]string{"SELF", "helper:exit", "78"}, 78, ""},
		"exit 255 stays 255":         {[]string{"SELF", "helper:exit", "255"}, 255, ""},
		"death by TERM is 143":       {[]string{"SELF", "helper:die", "15"}, 143, ""},
		"death by KILL is 137":       {[]string{"SELF", "helper:die", "9"}, 137, ""},
		"a name is found in PATH":    {[]string{"true"}, 0, ""},
		"no such file is 127":        {[]string{"/no/such/file"}, 127, "no such file"},
		"no such name is 127":        {[]string{"no-such-command"}, 127, "no such file"},
		"a file as directory is 127": {[]string{dir + "/file/x"}, 127, "not a directory"},
		"an empty name is 127":       {[]string{""}, 127, "no such file"},
		"no right to execute is 126": {[]string{dir + "/noexec"}, 126, "permission denied"},
		"not executable in PATH 126": {[]string{"noexec"}, 126, "permission denied"},
		"a foreign binary is 126":    {[]string{dir + "/garbage"}, 126, "exec format error"},
		"a directory is 126":         {[]string{dir}, 126, "permission denied"},
		"lost interpreter is 127":    {[]string{dir + "/lost"}, 127, "interpreter is missing"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, mode string) {
				args := slices.Clone(c.command)
				if args[0] == "SELF" {
					args[0] = self(t)
				}
				command := exec.Command(self(t), append([]string{mode}, args...)...)
				command.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+dir)
				var stderr bytes.Buffer
				command.Stderr = &stderr
				if code := codeOf(t, command.Run()); code != c.code {
					t.Errorf("code %d, want %d", code, c.code)
				}
				if !strings.Contains(stderr.String(), c.says) {
					t.Errorf("stderr %q, want %q in it", stderr.String(), c.says)
				}
			})
		})
	}
}

func TestACommandThatNothingIsLeftForSaysSo(t *testing.T) {
	for mode, c := range map[string]struct {
		says string
		root bool
	}{
		"supervise-starved-files":     {"no file descriptor is left for starting it: too many open files", false},
		"supervise-starved-processes": {"no process is left for it: resource temporarily unavailable", true},
	} {
		t.Run(mode, func(t *testing.T) {
			if c.root && os.Geteuid() != 0 {
				t.Skip("needs root, to become somebody else")
			}
			command := exec.Command(self(t), helperPrefix+mode, "/bin/true")
			var stderr bytes.Buffer
			command.Stderr = &stderr
			if code := codeOf(t, command.Run()); code != 126 {
				t.Errorf("code %d, want 126", code)
			}
			if !strings.Contains(stderr.String(), c.says) {
				t.Errorf("it says %q", stderr.String())
			}
		})
	}
}

func TestArgumentsAndEnvironmentPassUnchanged(t *testing.T) {
	bothWays(t, func(t *testing.T, mode string) {
		args := []string{self(t), "helper:dump", "", "two words", "\xff\xfe", "line\nbreak", "-x", "--"}
		env := []string{"A=1", "EMPTY=", "BAD=\xff\xfe", "LINE=a\nb", "odd"}
		command := exec.Command(self(t), append([]string{mode}, args...)...)
		command.Env = env
		out, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(args, "\x00"); string(got[0]) != want {
			t.Errorf("argv %q, want %q", got[0], want)
		}
		if want := strings.Join(env, "\x00"); string(got[1]) != want {
			t.Errorf("env %q, want %q", got[1], want)
		}
	})
}

func TestStandardStreamsAreTheVerySameFiles(t *testing.T) {
	bothWays(t, func(t *testing.T, mode string) {
		dir := t.TempDir()
		command := exec.Command(self(t), mode, "/bin/sh", "-c", `readlink /proc/self/fd/2; cat; echo oops >&2`)
		in, out, errs := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "err")
		write(t, in, "hello\n", 0o600)
		var files []*os.File
		for _, path := range []string{in, out, errs} {
			file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			files = append(files, file)
		}
		command.Stdin, command.Stdout, command.Stderr = files[0], files[1], files[2]
		if err := command.Run(); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(out); string(got) != errs+"\nhello\n" {
			t.Errorf("stdout %q", got)
		}
		if got, _ := os.ReadFile(errs); string(got) != "oops\n" {
			t.Errorf("stderr %q", got)
		}
	})
}

// What the command finds must be what it would have found without us.
func TestNothingOfUsIsInherited(t *testing.T) {
	look := `ulimit -Sn; ulimit -Hn; grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l; umask`
	for name, before := range map[string]string{
		"as started plainly":       "",
		"with few open files":      "ulimit -Sn 200; ulimit -Hn 300; ",
		"under nohup":              "trap '' HUP; ",
		"in a shell's background":  "trap '' INT; ",
		"with TTOU ignored":        "trap '' TTOU; ",
		"with an odd umask":        "umask 0137; ",
		"with a descriptor to use": "exec 5</dev/null; ",
	} {
		t.Run(name, func(t *testing.T) {
			bare, err := exec.Command("/bin/sh", "-c", before+`exec /bin/sh -c "$0"`, look).Output()
			if err != nil {
				t.Fatal(err)
			}
			bothWays(t, func(t *testing.T, mode string) {
				got, err := exec.Command("/bin/sh", "-c", before+`exec "$0" "$@"`, self(t), mode, "/bin/sh", "-c", look).Output()
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, bare) {
					t.Errorf("with us:\n%swithout us:\n%s", got, bare)
				}
			})
		})
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can show this")
	}
}
