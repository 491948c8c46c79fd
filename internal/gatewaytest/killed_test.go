package gatewaytest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

const (
	killRounds = 64
	killsAPass = 16
	crowd      = 50
)

// One volume goes through all of it, and then a gateway has to live with it. The
// order matters: the crowd meets a volume that has no device of its own yet.
func TestStoreOutlivesACrowdOfSeedsAndTheirKilling(t *testing.T) {
	gatewaytest.Install(t, jsonEra)                        // which skips all of it under -short
	for _, version := range []string{jsonEra, sqliteEra} { // not at once: see killAtCall
		t.Run(version, func(t *testing.T) {
			v := newVolume(t, version, neverSeeded(t, version))
			t.Run("fifty at once are all in the store", v.crowded)
			t.Run("killed at any point, it is the old or the new store", v.killedAnywhere)
			t.Run("killed before every call, it is the old or the new store", v.killedBeforeEveryCall)
			t.Run("killed the very first time, the next one completes it", v.killedFirst)
			t.Run("a gateway that starts on it lets them all in", v.servesTheSeeded)
		})
	}
}

// neverSeeded is an empty directory for the file store. The database is one that
// a gateway has made.
func neverSeeded(t *testing.T, version string) string {
	t.Helper()
	if version == sqliteEra {
		return gatewaytest.CopyState(t, version)
	}
	return t.TempDir()
}

// command is "bootstrap seed", to be started and killed as a test likes.
func (v volume) command(t *testing.T, client string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(gatewaytest.Bootstrap(t), "seed", "--client", client)
	cmd.Env = append(v.env(), "HOME="+v.state)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (v volume) crowded(t *testing.T) {
	commands, output := make([]*exec.Cmd, crowd), make([]strings.Builder, crowd)
	for i := range commands {
		commands[i] = v.command(t, fmt.Sprintf("c-%d", i))
		commands[i].Stderr = &output[i]
	}
	for _, cmd := range commands {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, cmd := range commands {
		if err := cmd.Wait(); err != nil {
			t.Errorf("number %d: %v\n%s", i, err, output[i].String())
		}
	}
	store := v.survey(t)
	if want := crowd + 1; len(store.devices) != want {
		t.Errorf("there are %d devices in the store, not %d", len(store.devices), want)
	}
	store.wantPaired(t, store.self)
	for i := range commands {
		v.wantBundle(t, store, fmt.Sprintf("c-%d", i))
	}
}

// wantBundle checks that a client has all that it needs, and that the store
// knows it by that.
func (v volume) wantBundle(t *testing.T, store survey, client string) {
	t.Helper()
	bundle := v.bundle(client)
	id := must(readIdentity(bundle))(t)
	token := must(readToken(bundle))(t)
	store.wantPaired(t, id)
	if token == "" || store.devices[id].Tokens["operator"].Token != token {
		t.Errorf("%s: the store has another token than the bundle", client)
	}
	if env := string(must(os.ReadFile(filepath.Join(bundle, "env")))(t)); !strings.Contains(env, "OPENCLAW_GATEWAY_TOKEN="+token+"\n") {
		t.Errorf("%s: the token is not in the variables", client)
	}
}

// killedAnywhere spreads the kills evenly over a run's time, so that none of it
// is left out by chance.
func (v volume) killedAnywhere(t *testing.T) {
	whole := v.duration(t)
	// Something that is no concern of ours, and has to outlive us all the same.
	v.pin(t, must(readIdentity(v.bundle("c-1")))(t))
	before := v.survey(t)
	var old, fresh, late, lateBefore, i int
	for ; i < killRounds || old == 0 || fresh == 0; i++ {
		// A pass is spread over the whole run. Where none of it came too late, a run
		// takes longer by now: the machine has other things to do.
		if i > 0 && i%killsAPass == 0 {
			if late == lateBefore {
				whole += whole / 2
			}
			lateBefore = late
		}
		if i == 20*killRounds {
			t.Fatalf("of %d kills within %v, %d left the old store, %d the new one, %d came too late: this shows nothing", i, whole, old, fresh, late)
		}
		delay := whole*time.Duration(i%killsAPass)/killsAPass + rand.N(whole/killsAPass)
		killed, added := v.killRound(t, &before, fmt.Sprintf("k-%d", i), func(cmd *exec.Cmd) bool { return killAfter(t, cmd, delay) })
		switch {
		case !killed:
			late++
		case added:
			fresh++
		default:
			old++
		}
	}
	t.Logf("of %d kills within %v, %d left the old store, %d the new one, %d came too late", i, whole, old, fresh, late)
	v.wantNoLitter(t)
}

func (v volume) killedBeforeEveryCall(t *testing.T) {
	before := v.survey(t)
	var old, fresh int
	for n := 1; ; n++ {
		killed, added := v.killRound(t, &before, fmt.Sprintf("p-%d", n), func(cmd *exec.Cmd) bool { return killBeforeCall(t, cmd, n) })
		switch {
		case !killed:
			t.Logf("it makes %d calls; kills before %d of them left the old store, before %d the new one", n-1, old, fresh)
			if old == 0 || fresh == 0 {
				t.Error("the kills did not fall on both sides of the write: this shows nothing")
			}
			v.wantNoLitter(t)
			return
		case added:
			fresh++
		default:
			old++
		}
	}
}

// killRound kills one run that pairs one more client, and tells whether the
// client is in the store all the same. Then the next run has to succeed; what
// is there after that is the next round's before.
func (v volume) killRound(t *testing.T, before *survey, client string, kill func(*exec.Cmd) bool) (killed, added bool) {
	t.Helper()
	killed = kill(v.command(t, client))
	after := v.surveyCrash(t)
	after.wantNoLessThan(t, *before)
	more := len(after.devices) - len(before.devices)
	if more < 0 || more > 1 {
		t.Errorf("there are %d devices more", more)
	}
	identityIfAny(t, v.bundle(client))
	v.seed(t, "--client", client)
	*before = v.survey(t)
	before.wantNoLessThan(t, after)
	before.wantPaired(t, before.self)
	v.wantBundle(t, *before, client)
	if t.Failed() {
		t.Fatalf("when %s was seeded", client)
	}
	return killed, more > 0
}

// killedFirst kills the run that makes the identity, the directories and the first
// entry: before each call once, on a store that was never seeded.
func (v volume) killedFirst(t *testing.T) {
	for n := 1; ; n++ {
		one := volume{version: v.version, state: t.TempDir(), port: v.port}
		if v.version == sqliteEra {
			one.state = gatewaytest.CopyDatabase(t, v.version)
		}
		before := one.survey(t)
		killed := killBeforeCall(t, one.command(t, "first"), n)
		after := one.surveyCrash(t)
		after.wantNoLessThan(t, before)
		identityIfAny(t, one.bundle("first"))
		one.seed(t, "--client", "first")
		complete := one.survey(t)
		complete.wantNoLessThan(t, after)
		complete.wantPaired(t, complete.self)
		one.wantBundle(t, complete, "first")
		one.wantNoLitter(t)
		if t.Failed() {
			t.Fatalf("when it was killed before its call number %d", n)
		}
		if !killed {
			t.Logf("it makes %d calls", n-1)
			return
		}
	}
}

func (v volume) servesTheSeeded(t *testing.T) {
	store := v.surveyCrash(t)
	bundles, _ := filepath.Glob(v.bundle("*"))
	for _, bundle := range bundles {
		v.wantBundle(t, store, filepath.Base(bundle))
	}
	g := v.run(t, "--handover=supervise", "--require-paired")
	v.settled(t, g, "supervise")
	v.wantLetIn(t, store.self, fullScopes)
	for _, client := range []string{"c-0", fmt.Sprintf("c-%d", crowd-1), "k-0", fmt.Sprintf("k-%d", killRounds-1), "p-1"} {
		bundle := v.bundle(client)
		v.wantLetIn(t, must(readIdentity(bundle))(t), standardScopes, "--state-dir", bundle)
	}
	v.endsWithTheGateway(t, g, "supervise")
	// The gateway notes when it saw a device, so not to the byte.
	if after := v.survey(t); after.self != store.self || !maps.Equal(tokensOf(after), tokensOf(store)) {
		t.Error("after the gateway's life the devices or their tokens are others")
	}
}

func tokensOf(s survey) map[string]string {
	out := map[string]string{}
	for id, device := range s.devices {
		out[id] = device.Tokens["operator"].Token
	}
	return out
}

// duration is how long a whole run takes that adds a device: the middle one of
// five.
func (v volume) duration(t *testing.T) time.Duration {
	t.Helper()
	var times []time.Duration
	for range 5 {
		began := time.Now()
		if out, err := v.command(t, fmt.Sprintf("timed-%d", rand.Uint32())).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[2]
}

// killAfter says whether the run was still there to be killed.
func killAfter(t *testing.T, cmd *exec.Cmd, delay time.Duration) bool {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(delay)
	_ = cmd.Process.Kill() // where it has ended, it is not reaped before Wait
	_ = cmd.Wait()         // its state tells
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() && status.ExitStatus() != 0 {
		t.Errorf("it ended with %d", status.ExitStatus())
	}
	return status.Signaled()
}
