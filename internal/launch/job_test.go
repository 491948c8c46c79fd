package launch

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// jobs run in a helper process of their own: they wait for every child there is.
func runsJobs(args []string) int {
	read, write, err := os.Pipe()
	if err != nil {
		return failed(err)
	}
	defer func() { _ = read.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	job := Job{Path: "/bin/sh", Argv: []string{"sh", "-c", "exec 2>/dev/null; " + args[1]}, Env: os.Environ(), Output: os.Stdout, Grace: time.Hour}
	switch args[0] {
	case "cancel", "cancel-grace":
		if args[0] == "cancel-grace" {
			job.Grace = time.Millisecond
		}
		// It is told to end once it has said that it is ready.
		job.Output = write
		go func() { _, _ = read.Read(make([]byte, 1)); cancel() }()
	case "orphans": // as PID 1 they come to us by themselves
		becomeSubreaper()
	case "beside", "beside-ending":
		return besideAChild(ctx, job, args[0] == "beside-ending")
	}
	result, err := RunJob(ctx, job)
	if err != nil {
		return failed(err)
	}
	if _, err := os.Stat("tidied"); err == nil {
		_, _ = os.Stdout.WriteString("tidied\n")
	}
	return said(result)
}

func said(result JobResult) int {
	_, _ = os.Stdout.WriteString("code " + strconv.Itoa(result.Code) + map[bool]string{true: " told"}[result.Told] + map[bool]string{true: " killed"}[result.Killed] + "\n")
	return 0
}

// besideAChild runs a job while a child is supervised; the child ends when the job
// has, or else at once when the job is there.
func besideAChild(ctx context.Context, job Job, ends bool) int {
	command := "read line"
	if ends {
		command = "read line <ready"
	}
	process, err := start(Options{Command: "/bin/sh", Argv: []string{"sh", "-c", command}, Env: os.Environ()})
	if err != nil {
		return failed(err)
	}
	results := make(chan JobResult, 1)
	go func() {
		result, err := process.RunJob(ctx, job)
		if err != nil {
			_ = failed(err)
		}
		results <- result
		_ = os.Stdin.Close()
		process.Stop(15)
	}()
	ended := process.Run()
	code := said(<-results)
	_, _ = os.Stdout.WriteString("child " + strconv.Itoa(ended.Code) + "\n")
	return code
}

func TestJobs(t *testing.T) {
	for name, c := range map[string]struct{ mode, script, want string }{
		"ends by itself":              {"run", "exit 3", "code 3\n"},
		"dies of a signal":            {"run", "kill -KILL $$", "code 137\n"},
		"has no input":                {"run", "read line || echo none", "none\ncode 0\n"},
		"leaves something behind":     {"run", "sleep 60 >/dev/null 2>&1 & exit 0", "code 0\n"},
		"has a session of its own":    {"run", `[ "$(cut -d' ' -f6 /proc/$$/stat)" = $$ ] && echo yes`, "yes\ncode 0\n"},
		"has its orphans reaped":      {"orphans", `( sleep 0.2 & echo $! >orphan ); while [ -e "/proc/$(cat orphan)" ]; do sleep 0.05; done`, "code 0\n"},
		"is told to end":              {"cancel", `trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done`, "code 9 told\n"},
		"leaves what tidies up":       {"cancel", `{ trap "sleep 0.3; echo >tidied; exit" TERM; echo ready; while :; do sleep 0.05; done; } & wait`, "tidied\ncode 143 told\n"},
		"leaves what does not end":    {"cancel-grace", `{ trap "" TERM; echo ready; while :; do sleep 0.05; done; } & wait`, "code 143 told killed\n"},
		"is killed after its grace":   {"cancel-grace", `trap "" TERM; echo ready; while :; do sleep 0.05; done`, "code 137 told killed\n"},
		"ends beside a child":         {"beside", "exit 4", "code 4\nchild 143\n"},
		"ends at once beside a child": {"beside", ":", "code 0\nchild 143\n"},
		"outlives the child":          {"beside-ending", `trap "exit 5" TERM; echo >ready; while :; do sleep 0.05; done`, "code 5 told\nchild 0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(self(t), helperPrefix+"job", c.mode, c.script)
			command.Dir = t.TempDir()
			if err := exec.Command("mkfifo", command.Dir+"/ready").Run(); err != nil {
				t.Fatal(err)
			}
			in, err := command.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = in.Close() }()
			var errors strings.Builder
			command.Stderr = &errors
			out, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(out)
			if err != nil || command.Wait() != nil || string(got) != c.want {
				t.Errorf("got %q, %v, want %q\n%s", got, err, c.want, errors.String())
			}
		})
	}
}
