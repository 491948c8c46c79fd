package rights

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// dropAndReport drops to each user in turn, and says what every thread now is.
func dropAndReport(specs []string) int {
	// A second thread, to see that it is dropped too.
	hold := make(chan struct{})
	go func() { runtime.LockOSThread(); <-hold }()
	runtime.Gosched()
	for _, spec := range specs {
		u, err := LookupUser(spec)
		if err == nil {
			err = Drop(u, false)
		}
		var missing *PrivilegeError
		if errors.As(err, &missing) {
			fmt.Printf("refused missing=%s hint=%t: %v\n", missing.Missing, missing.Hint() != "", err)
			return 0
		}
		if err != nil {
			fmt.Println("error:", err)
			return 1
		}
	}
	threads, _ := filepath.Glob("/proc/self/task/*/status")
	var seen []string
	for _, path := range threads {
		status, _ := os.ReadFile(path)
		var ids []string
		for line := range strings.Lines(string(status)) {
			if name, value, _ := strings.Cut(line, ":"); slices.Contains([]string{"Uid", "Gid", "Groups", "CapEff", "CapPrm"}, name) {
				ids = append(ids, name+"="+strings.Join(strings.Fields(value), ","))
			}
		}
		if text := strings.Join(ids, " "); !slices.Contains(seen, text) {
			seen = append(seen, text)
		}
	}
	fmt.Println(strings.Join(seen, "\n"))
	return 0
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can show this")
	}
}

func TestDropIsForEveryThreadAndForGood(t *testing.T) {
	needRoot(t)
	const nobodyElse = "Uid=568,568,568,568 Gid=568,568,568,568 Groups= CapPrm=0000000000000000 CapEff=0000000000000000"
	cases := map[string]struct {
		prefix []string
		specs  []string
		want   string
	}{
		"root becomes a user without an entry": {nil, []string{"568:568"}, nobodyElse},
		"supplementary groups go": {
			[]string{"setpriv", "--groups", "4,27"}, []string{"568"}, nobodyElse,
		},
		"the same user again changes nothing":    {nil, []string{"568", "568:568"}, nobodyElse},
		"who is the user needs no capability":    {[]string{"setpriv", "--bounding-set", "-all"}, []string{"0:0"}, "Uid=0,0,0,0 Gid=0,0,0,0"},
		"nobody else's way back to root":         {nil, []string{"568", "0"}, "refused missing=CAP_SETGID hint=true"},
		"nobody else's way to another user":      {nil, []string{"568", "1000"}, "refused missing=CAP_SETGID hint=true"},
		"root without SETGID cannot":             {[]string{"setpriv", "--bounding-set", "-setgid"}, []string{"568"}, "refused missing=CAP_SETGID hint=true"},
		"root without SETUID cannot":             {[]string{"setpriv", "--bounding-set", "-setuid"}, []string{"568"}, "refused missing=CAP_SETUID hint=true"},
		"capabilities that survive are no drop":  {[]string{"setpriv", "--securebits", "+no_setuid_fixup"}, []string{"568"}, "root could be regained"},
		"an unknown name is refused by its name": {nil, []string{"nosuchuser"}, `cannot use user "nosuchuser"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			command := slices.Concat(c.prefix, []string{self(t), "helper:drop"}, c.specs)
			out, _ := exec.Command(command[0], command[1:]...).Output()
			if !strings.Contains(string(out), c.want) {
				t.Errorf("got  %swant %s", out, c.want)
			}
			if strings.Count(string(out), "\n") != 1 {
				t.Errorf("threads differ:\n%s", out)
			}
		})
	}
}
