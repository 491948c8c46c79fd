package gatewaytest_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// leaverVariable is set in the test process that is to be killed.
const leaverVariable = "GATEWAYTEST_LEAVER"

func TestKilledTestProcessLeavesNoProcessAndNoNetworkBehind(t *testing.T) {
	t.Parallel()
	if os.Getenv(leaverVariable) != "" {
		leave(t)
	}
	if testing.Short() {
		t.Skip("skipped under -short: this test needs an installed gateway")
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped: a second network namespace needs root")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), leaverVariable+"=yes")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var orphan int
	var address string
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, "left %d %s", &orphan, &address); scanErr != nil {
		t.Fatalf("the leaver said %q (%v), not what it left", line, err)
	}
	if !alive(orphan) || !routed(t, address) {
		t.Error("the orphan or its network was gone before the test process was killed")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // it was killed

	await(t, "the end of the orphan", func() bool { return !alive(orphan) })
	await(t, "the end of its network", func() bool { return !routed(t, address) })
}

// leave makes a network and, in it, a process whose parent has ended; says so
// and waits for the end.
func leave(t *testing.T) {
	remote := gatewaytest.NewRemote(t)
	g := gatewaytest.Start(t, gatewaytest.Options{
		Version: "2026.9.6",
		Prefix:  []string{"sh", "-c", "setsid sleep 600 & echo $!; exec sleep 600"},
	})
	var orphan int
	for orphan == 0 {
		_, _ = fmt.Sscanf(g.Output(), "%d\n", &orphan)
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Printf("left %d %s\n", orphan, remote.HostAddr)
	select {}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ") && syscall.Kill(pid, 0) == nil
}

func routed(t *testing.T, address string) bool {
	t.Helper()
	out, err := exec.Command("ip", "-o", "address").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(out), " "+address+"/")
}
