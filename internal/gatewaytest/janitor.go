package gatewaytest

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// markVariable stands in the environment of each process that a test starts. A
// gateway's children inherit it, so they are found even when they have left
// their process group, lost their parent or changed their user.
const markVariable = "GATEWAYTEST_MARK"

//go:embed janitor.sh
var janitorScript string

// janitor is a process that outlives the test process and then clears away
// what that left: a test that times out or is killed runs no cleanup functions.
type janitor struct {
	run    string // first part of every mark of this test process
	marks  atomic.Int64
	mu     sync.Mutex
	orders io.Writer
}

// One janitor a test process: it watches that process, not a test.
var startJanitor = sync.OnceValues(func() (*janitor, error) {
	run := fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
	cmd := exec.Command("sh", "-c", janitorScript, "janitor", markVariable+"="+run+".")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C must not end it
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &janitor{run: run, orders: orders}, nil
})

func getJanitor(t testing.TB) *janitor {
	t.Helper()
	j, err := startJanitor()
	if err != nil {
		t.Fatalf("cannot start the janitor: %v", err)
	}
	return j
}

// tell gives one order of janitor.sh, for example "netns NAME LINK".
func (j *janitor) tell(order string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = io.WriteString(j.orders, order+"\n") // without a janitor there is only less tidiness
}

// newMark is a value for markVariable that no other process has.
func newMark(t testing.TB) string {
	t.Helper()
	j := getJanitor(t)
	return j.run + "." + strconv.FormatInt(j.marks.Add(1), 10)
}

// killMarked ends every process that carries the mark, and those that such a
// process starts meanwhile.
func killMarked(mark string) {
	for range 10 {
		pids := marked(mark)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // ended meanwhile is fine
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// marked lists the living processes that carry the mark. A zombie's environment
// is empty, so it is not among them.
func marked(mark string) []int {
	want := []byte(markVariable + "=" + mark)
	var pids []int
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		env, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile, or somebody else's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || !hasVariable(env, want) {
			continue
		}
		pids = append(pids, pid)
	}
	return pids
}

func hasVariable(env, want []byte) bool {
	for variable := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(variable, want) {
			return true
		}
	}
	return false
}
