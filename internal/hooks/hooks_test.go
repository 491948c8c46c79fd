package hooks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/launch"
)

// place makes a hooks directory that nobody else can write, whatever the umask.
func place(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(list []Hook) (out []string) {
	for _, hook := range list {
		out = append(out, string(hook.Stage)+"/"+hook.Name)
	}
	return out
}

func TestHooksAreExecutablesInTheOrderOfTheirNames(t *testing.T) {
	dir := place(t, map[string]string{
		"pre-start.d/20-b": "", "pre-start.d/10-a.sh": "", "pre-start.d/9": "", "proven.d/x": "", "another.d/y": "",
		"pre-start.d/.hidden": "", "pre-start.d/old~": "", "pre-start.d/not": "", "pre-start.d/directory/z": "",
	})
	if err := os.Chmod(filepath.Join(dir, "pre-start.d/not"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A ConfigMap consists of links.
	if err := os.Symlink("20-b", filepath.Join(dir, "pre-start.d/15-link")); err != nil {
		t.Fatal(err)
	}
	set, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"pre-start.d/10-a.sh", "pre-start.d/15-link", "pre-start.d/20-b", "pre-start.d/9", "proven.d/x"}
	if got := append(names(set.PreStart), names(set.Proven)...); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	var passed []string
	for _, file := range set.PassedOver {
		passed = append(passed, filepath.Base(file.Path)+": "+file.Reason)
	}
	slices.Sort(passed)
	if len(passed) != 3 || !strings.HasPrefix(passed[0], "directory: it is no file") || !strings.HasPrefix(passed[1], "not: this user may not execute it") || !strings.HasPrefix(passed[2], "old~: a hook's name") {
		t.Errorf("passed over: %q", passed)
	}
	if set, err := Find(filepath.Join(dir, "nothing")); err != nil || set.PreStart != nil || set.Proven != nil {
		t.Errorf("where nothing is: %v, %v", set, err)
	}
}

func TestHooksThatOthersCanChangeAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(dir string) error
		reason string
	}{
		"the script":            {func(dir string) error { return os.Chmod(dir+"/pre-start.d/a", 0o775) }, "can be written"},
		"the stage":             {func(dir string) error { return os.Chmod(dir+"/pre-start.d", 0o777) }, "can be written"},
		"the stage, sticky":     {func(dir string) error { return os.Chmod(dir+"/pre-start.d", 0o777|os.ModeSticky) }, "can be written"},
		"the directory":         {func(dir string) error { return os.Chmod(dir, 0o777) }, "can be written"},
		"the script's owner":    {func(dir string) error { return os.Lchown(dir+"/pre-start.d/a", 12345, 0) }, "belongs to uid 12345"},
		"the directory's owner": {func(dir string) error { return os.Lchown(dir, 12345, 0) }, "belongs to uid 12345"},
		"the target of a link": {func(dir string) error {
			target := dir + "/open/b"
			return errors.Join(os.Mkdir(dir+"/open", 0o755), os.WriteFile(target, nil, 0o755), os.Chmod(dir+"/open", 0o777), os.Symlink(target, dir+"/pre-start.d/b"))
		}, "can be written"},
		"a link's link in an open directory": {func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/open", 0o755), os.Symlink("../pre-start.d/a", dir+"/open/b"), os.Chmod(dir+"/open", 0o777),
				os.Symlink("../open/b", dir+"/pre-start.d/b"))
		}, "can be written"},
		"a link's link of another owner": {func(dir string) error {
			return errors.Join(os.Symlink("pre-start.d/a", dir+"/b"), os.Symlink("../b", dir+"/pre-start.d/b"), os.Lchown(dir+"/b", 12345, 0))
		}, "belongs to uid 12345"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := place(t, map[string]string{"pre-start.d/a": ""})
			if err := c.spoil(dir); err != nil {
				if os.Geteuid() != 0 && strings.Contains(name, "owner") {
					t.Skip("only root gives files away")
				}
				t.Fatal(err)
			}
			_, err := Find(dir)
			var refused *TrustError
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.reason) || refused.Hint() == "" {
				t.Errorf("got %v", err)
			}
		})
	}
	// Links without end lead nowhere.
	if _, err := read(PreStart, endlessLink(t)); err == nil || errors.As(err, new(*TrustError)) {
		t.Errorf("a link to itself: %v", err)
	}
	// Above it the sticky bit is enough, as on /tmp.
	dir := place(t, map[string]string{"above/pre-start.d/a": ""})
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(dir + "/above"); err != nil {
		t.Error(err)
	}
}

func endlessLink(t *testing.T) string {
	t.Helper()
	link := filepath.Join(place(t, nil), "link")
	if err := os.Symlink("./link", link); err != nil {
		t.Fatal(err)
	}
	return link
}

func TestAMarkIsForAHooksNameAndContent(t *testing.T) {
	marks := Marks{Dir: filepath.Join(t.TempDir(), "bootstrap", "proven")}
	hook := Hook{Stage: Proven, Name: "10-a", Hash: "abc"}
	has := func(hook Hook, want bool) {
		t.Helper()
		if has, err := marks.Has(hook); err != nil || has != want {
			t.Errorf("%+v: %v, %v", hook, has, err)
		}
	}
	has(hook, false)
	if err := marks.Put(hook, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	has(hook, true)
	has(Hook{Stage: Proven, Name: "10-a", Hash: "abd"}, false)
	has(Hook{Stage: Proven, Name: "10-b", Hash: "abc"}, false)
	if data, err := os.ReadFile(filepath.Join(marks.Dir, "10-a")); err != nil || string(data) != "abc 1970-01-01T00:00:00Z\n" {
		t.Errorf("%q, %v", data, err)
	}
	failing := Hook{Stage: Proven, Name: "10-b", Hash: "abc"}
	if err := marks.PutFailure(failing, time.Unix(0, 0), errors.New("it ended with 3")); err != nil {
		t.Fatal(err)
	}
	has(failing, false)
	if why := marks.Failure(failing); why != "1970-01-01T00:00:00Z it ended with 3" || marks.Failure(hook) != "" {
		t.Errorf("failed: %q, %q", why, marks.Failure(hook))
	}
	if err := errors.Join(marks.Drop(failing), marks.Drop(failing)); err != nil || marks.Failure(failing) != "" {
		t.Errorf("dropped: %v", err)
	}
	if err := os.Mkdir(filepath.Join(marks.Dir, "10-c"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := marks.Has(Hook{Name: "10-c"}); err == nil {
		t.Error("a mark that cannot be read counts as none")
	}
}

func TestLinesAreBoundedAndValid(t *testing.T) {
	var got []string
	Lines(strings.NewReader("a\r\n\n"+strings.Repeat("x", 10_000)+"\n\xff\x1b[2J\nlast"), func(line string) { got = append(got, line) })
	want := []string{"a", "", strings.Repeat("x", maxLine) + cut, "\uFFFD\x1b[2J", "last"}
	if !slices.Equal(got, want) {
		t.Errorf("got %.200q", got)
	}
}

// ran is what a hook said, and how it ended.
func ran(t *testing.T, ctx context.Context, script string, timeout time.Duration) (said []string, err error) {
	t.Helper()
	dir := place(t, map[string]string{"pre-start.d/hook": "#!/bin/sh\n" + script})
	set, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	runner := Runner{
		Start: launch.RunJob, Env: []string{"PATH=" + os.Getenv("PATH"), "A=1"}, Timeout: timeout, Grace: time.Hour, Rest: time.Hour,
		Said: func(_ Hook, line string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, line)
		},
	}
	err = runner.Run(ctx, set.PreStart[0])
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(said), err
}

func TestAHookRuns(t *testing.T) {
	said, err := ran(t, t.Context(), `echo "out $A"; echo err >&2; read line || echo no input`, time.Hour)
	if err != nil || !slices.Equal(said, []string{"out 1", "err", "no input"}) {
		t.Errorf("%q, %v", said, err)
	}
	var failure *Failure
	if _, err = ran(t, t.Context(), "exit 3", time.Hour); !errors.As(err, &failure) || failure.Code != 3 || err.Error() != "hook pre-start.d/hook ended with 3" {
		t.Errorf("%v", err)
	}
	if _, err = ran(t, t.Context(), "trap 'exit 0' TERM; while :; do sleep 0.05; done", time.Millisecond); !errors.As(err, &failure) || !strings.Contains(err.Error(), "did not end within 1ms") {
		t.Errorf("%v", err)
	}
	why := errors.New("a signal came")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err = ran(t, ctx, "while :; do sleep 0.05; done", time.Hour); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}

func TestAHookThatCannotBeStartedFails(t *testing.T) {
	dir := place(t, map[string]string{"pre-start.d/hook": "#!/no/such/shell\n"})
	set, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = Runner{Start: launch.RunJob, Timeout: time.Hour, Said: func(Hook, string) {}}.Run(t.Context(), set.PreStart[0])
	var failure *Failure
	if !errors.As(err, &failure) || failure.Code != launch.CodeNotFound {
		t.Errorf("%v", err)
	}
}
