package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// helper starts this program again, as TestOwnerHelper, and returns what it says
// first. It ends with the test.
func helper(t *testing.T, uid int, what ...string) (process *exec.Cmd, said string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestOwnerHelper$", "-test.count=1")
	cmd.Env = append(os.Environ(), "OWNER_HELPER="+strings.Join(what, " "), "OWNER_UID="+strconv.Itoa(uid))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the helper said %q: %v", line, err)
	}
	return cmd, strings.TrimSpace(line)
}

// TestOwnerHelper is no test of its own, but what helper starts.
func TestOwnerHelper(t *testing.T) {
	what := strings.Fields(os.Getenv("OWNER_HELPER"))
	if len(what) == 0 {
		return
	}
	if uid, _ := strconv.Atoi(os.Getenv("OWNER_UID")); uid != os.Getuid() {
		if err := syscall.Setuid(uid); err != nil {
			t.Fatal(err)
		}
	}
	switch what[0] {
	case "listen":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		fmt.Println(l.Addr())
	case "below": // a process between, which stays or ends
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		inner := exec.Command(self, "-test.run=^TestOwnerHelper$", "-test.count=1")
		inner.Env = append(os.Environ(), "OWNER_HELPER=listen")
		inner.Stdin, inner.Stdout = os.Stdin, os.Stdout
		if err := inner.Start(); err != nil {
			t.Fatal(err)
		}
		if what[1] == "ends" {
			os.Exit(0)
		}
		_ = inner.Wait()
		return
	case "judge":
		child, _ := strconv.Atoi(what[1])
		owner, err := NewTree(child).Listener(what[2])
		fmt.Printf("%v; %v\n", owner, err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestAListenerOfTheTreeIsTold(t *testing.T) {
	child, address := helper(t, os.Getuid(), "listen")
	owner, err := NewTree(child.Process.Pid).Listener(address)
	if err != nil || owner.PID != child.Process.Pid || owner.UID != os.Getuid() || owner.Socket() == "" {
		t.Errorf("the child: %v, %v", owner, err)
	}
	between, address := helper(t, os.Getuid(), "below", "stays")
	tree := NewTree(between.Process.Pid)
	owner, err = tree.Listener(address)
	if err != nil || owner.PID == between.Process.Pid || owner.PID == 0 {
		t.Errorf("a grandchild: %v, %v", owner, err)
	}
	if again, err := tree.Listener(address); err != nil || again != owner {
		t.Errorf("asked again: %v, %v", again, err)
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	if owner, err := tree.Listener(nobody.Addr().String()); err != nil || owner != (Owner{}) {
		t.Errorf("nobody: %v, %v", owner, err)
	}
}

func TestAProcessWhoseParentHasEndedIsStillOfTheTree(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	between, address := helper(t, os.Getuid(), "below", "ends")
	if _, err := between.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	if owner, err := NewTree(between.Process.Pid).Listener(address); err != nil || owner.PID == 0 {
		t.Errorf("%v, %v", owner, err)
	}
}

func TestAnotherProcessIsForeignEvenOfTheSameUser(t *testing.T) {
	child, _ := helper(t, os.Getuid(), "listen")
	for _, where := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		mine, err := net.Listen("tcp", where)
		if err != nil {
			t.Fatal(err)
		}
		defer mine.Close()
		address := fmt.Sprintf("127.0.0.1:%d", mine.Addr().(*net.TCPAddr).Port)
		_, err = NewTree(child.Process.Pid).Listener(address)
		var foreign *ForeignError
		if !errors.As(err, &foreign) || foreign.Owner.PID != os.Getpid() || foreign.Owner.UID != os.Getuid() {
			t.Errorf("%s: %v", where, err)
		}
	}
	// At another address of the port it is nobody's business.
	other, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := NewTree(child.Process.Pid).Listener(fmt.Sprintf("127.0.0.1:%d", other.Addr().(*net.TCPAddr).Port)); err != nil {
		t.Errorf("at another address: %v", err)
	}
}

func TestAnotherUserBelowIsTrustedAndBesideIsNot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can start processes of two users")
	}
	const uid = 12345
	child, address := helper(t, uid, "listen")
	if owner, err := NewTree(child.Process.Pid).Listener(address); err != nil || owner.UID != uid || owner.PID != child.Process.Pid {
		t.Errorf("below: %v, %v", owner, err)
	}
	// Ours, too, but by adoption: "docker exec" ends so.
	ours, _ := helper(t, 0, "listen")
	var foreign *ForeignError
	if _, err := NewTree(ours.Process.Pid).Listener(address); !errors.As(err, &foreign) || foreign.Owner.UID != uid {
		t.Errorf("beside: %v", err)
	}
}

func TestWhereTheFilesOfTheTreeAreNotShownTheUserCounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can start processes of two users")
	}
	child, address := helper(t, 0, "listen")
	if _, said := helper(t, 12345, "judge", strconv.Itoa(child.Process.Pid), address); said != "uid 0, process not visible; <nil>" {
		t.Errorf("the child's user: %s", said)
	}
	if _, said := helper(t, 12345, "judge", "-1", address); !strings.Contains(said, "not the gateway that was started, but uid 0, process not visible") {
		t.Errorf("no user of ours: %s", said)
	}
}

func TestAddressesOfThisMachine(t *testing.T) {
	for address, want := range map[string]int{
		"127.0.0.1:1": 1, "[::1]:1": 1, "192.0.2.1:1": 0, "nonsense": 0,
	} {
		if got := OnThisMachine(t.Context(), address); len(got) != want || want == 1 && got[0] != address {
			t.Errorf("%s: %v", address, got)
		}
	}
	if got := OnThisMachine(t.Context(), "localhost:1"); len(got) == 0 {
		t.Error("localhost is elsewhere")
	}
}
