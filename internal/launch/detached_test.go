package launch

import (
	"fmt"
	"os/exec"
	"testing"
)

func TestTheEndOfAnotherProcessIsNoticed(t *testing.T) {
	for name, watch := range map[string]func(pid int, ended func()) error{
		"by the kernel": OnEnd, "where that tells nobody": pollEnd,
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("cat")
			input, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			output, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			if err := watch(cmd.Process.Pid, func() { close(ended) }); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 1)
			for range 100 { // whoever calls too early does so meanwhile
				if _, err := input.Write([]byte("a")); err != nil {
					t.Fatal(err)
				}
				if _, err := output.Read(line); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case <-ended:
				t.Error("it has not ended yet")
			default:
			}
			_ = input.Close()
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			<-ended
			gone := make(chan struct{})
			if err := watch(cmd.Process.Pid, func() { close(gone) }); err != nil {
				t.Fatal(fmt.Errorf("one that has ended before: %w", err))
			}
			<-gone
		})
	}
}
