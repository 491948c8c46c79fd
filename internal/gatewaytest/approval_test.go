package gatewaytest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/probe"
)

// openGateway listens to a second machine, and knows the origin that 2026.2.26
// asks for.
func openGateway(t *testing.T, version string, prefix ...string) *gatewaytest.Gateway {
	t.Helper()
	state := gatewaytest.CopyState(t, version)
	config := `{"plugins":{"enabled":false},"gateway":{"mode":"local","controlUi":{"allowedOrigins":["http://localhost"]}}}`
	if err := os.WriteFile(filepath.Join(state, "openclaw.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return gatewaytest.Start(t, gatewaytest.Options{
		Version: version, StateDir: state, Bind: "lan", Token: approveToken, Prefix: prefix,
	})
}

// What the policy "token" rests on: nobody gets to ask without the gateway's
// token. And what "local" rests on, which is not true everywhere.
func TestOnlyWhoPassesAuthenticationCanAsk(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.2.26", "2026.5.28", "2026.8.2", "2026.9.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := openGateway(t, version)
			remote := gatewaytest.NewRemote(t)
			g.WaitReady(t)
			from := func(change func(*knock)) knock {
				return newKnock(t, "stranger", func(k *knock) {
					k.URL, k.Token = remote.URL(g), approveToken
					change(k)
				})
			}
			without := from(func(k *knock) { k.Token, k.Auth = "", probe.AuthNone })
			wrong := from(func(k *knock) { k.Token = "not-the-token" })
			device := from(func(k *knock) { k.Token, k.Auth = "no-device-token", probe.AuthDevice })
			node := from(func(k *knock) { k.Token, k.Role, k.Scopes = "not-the-token", "node", nil })
			hidden := from(func(k *knock) { k.Token, k.Forwarded = "not-the-token", "127.0.0.1" })
			right := from(func(*knock) {})
			forged := from(func(k *knock) { k.Forwarded = "127.0.0.1" })
			verdicts := knockAt(t, remote, without, wrong, device, node, hidden, right, forged)
			for i, v := range verdicts[:5] {
				if v.OK || v.RequestID != "" {
					t.Errorf("stranger %d without the token got %s, request %q: %s", i, v.Outcome, v.RequestID, v.Message)
				}
			}
			a := approver{Gateway: approve.Gateway{URL: g.URL, Token: approveToken}}
			pending, _ := a.list(t)
			asking := map[string]string{}
			for _, request := range pending {
				asking[request.DeviceID] = "from " + request.RemoteIP
			}
			want := map[string]string{right.deviceID(t): "from " + remote.ClientAddr}
			if version < "2026.8" {
				// A header of the client's own hides where it comes from.
				want[forged.deviceID(t)] = "from "
			}
			if fmt.Sprint(asking) != fmt.Sprint(want) {
				t.Errorf("asking are %v, want %v (the last one was told: %s)", asking, want, verdicts[6].Message)
			}
		})
	}
}

func TestPoliciesOnRealGateways(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.5.28", "2026.8.2", "2026.9.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := openGateway(t, version)
			here, there := gatewaytest.NewRemote(t), gatewaytest.NewRemote(t)
			g.WaitReady(t)
			p := policies{approver{Gateway: approve.Gateway{URL: g.URL, Token: approveToken}}, g, here, there, version}
			for _, test := range []struct {
				name string
				run  func(*testing.T)
			}{
				{"first admits one, also after a crash loop", p.first},
				{"token and its caps", p.token},
				{"cidr", p.network},
				{"nodes", p.nodes},
				{"upgrades", p.upgrades},
				{"local", p.local},
				{"a hundred at once", p.hundred},
				{"one request by its id", p.byID},
			} {
				t.Run(test.name, func(t *testing.T) {
					p.rejectAll(t)
					test.run(t)
				})
			}
		})
	}
}

type policies struct {
	approver
	g           *gatewaytest.Gateway
	here, there *gatewaytest.Remote
	version     string
}

func (p policies) at(t *testing.T, name string, at *gatewaytest.Remote, admitted bool, change func(*knock)) visitor {
	return visitor{newKnock(t, name, change), at, admitted}
}

func (p policies) first(t *testing.T) {
	state := t.TempDir()
	p.forgetOthers(t)
	w := startWatch(t, p.g, state, "--approve=first")
	var crowd []knock
	for i := range 20 {
		crowd = append(crowd, newKnock(t, fmt.Sprint("racer ", i), func(k *knock) { k.URL, k.Token = p.here.URL(p.g), approveToken }))
	}
	knockAt(t, p.here, crowd...)
	await(t, "all to be decided on", func() bool { return len(decisions(t, state)) == 20 })
	for range 3 {
		w.kill()
		_ = w.cmd.Wait()
		w = startWatch(t, p.g, state, "--approve=first")
	}
	// Even where the one who was first is removed by a person.
	in := 0
	for i, verdict := range knockAt(t, p.here, crowd...) {
		if verdict.OK {
			in++
			if err := approve.Remove(t.Context(), p.open(t).Client, crowd[i].deviceID(t)); err != nil {
				t.Error(err)
			}
		}
	}
	late := p.at(t, "late", p.here, false, nil)
	expect(t, p.g, state, late)
	if in != 1 {
		t.Errorf("%d of 20 were let in", in)
	}
}

// rejectAll: what one test leaves pending must not count in the next.
func (p policies) rejectAll(t *testing.T) {
	caller := p.open(t)
	pending, _ := p.list(t)
	for _, request := range pending {
		if err := approve.Reject(t.Context(), caller.Client, request.RequestID); err != nil {
			t.Error(err)
		}
	}
}

// forgetOthers removes every device, as if nobody had ever been paired.
func (p policies) forgetOthers(t *testing.T) {
	caller := p.open(t)
	_, paired := p.list(t)
	for _, device := range paired {
		_ = approve.Remove(t.Context(), caller.Client, device.DeviceID)
	}
}

func (p policies) token(t *testing.T) {
	state := t.TempDir()
	startWatch(t, p.g, state, "--approve=token", "--approve-client=cli/cli", "--approve-max=3")
	expect(t, p.g, state,
		p.at(t, "plain", p.here, true, nil),
		p.at(t, "elsewhere", p.there, true, nil),
		p.at(t, "administrator", p.here, false, func(k *knock) { k.Scopes = []string{"operator.admin", "operator.read"} }),
		p.at(t, "node", p.here, false, func(k *knock) { k.Role, k.Scopes = "node", nil }),
		p.at(t, "another mode", p.here, false, func(k *knock) { k.Mode = "probe" }),
		p.at(t, "evil\x1b[2J\nname", p.here, true, func(k *knock) { k.Scopes = readOnly }),
	)
	expect(t, p.g, state, p.at(t, "one too many", p.here, false, nil))
	info, err := os.Stat(filepath.Join(state, "bootstrap", "audit.jsonl"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the audit file is %v, %v", info.Mode(), err)
	}
}

func (p policies) network(t *testing.T) {
	state := t.TempDir()
	w := startWatch(t, p.g, state, "--approve=cidr:"+p.here.ClientAddr+"/32")
	visitors := []visitor{p.at(t, "inside", p.here, true, nil), p.at(t, "outside", p.there, false, nil)}
	if p.version < "2026.8" {
		visitors = append(visitors, p.at(t, "outside, says it is inside", p.there, false, func(k *knock) { k.Forwarded = p.here.ClientAddr }))
	}
	expect(t, p.g, state, visitors...)
	w.stop(t)
}

func (p policies) nodes(t *testing.T) {
	state := t.TempDir()
	startWatch(t, p.g, state, "--approve=token", "--approve-role=node")
	expect(t, p.g, state,
		p.at(t, "node", p.here, true, func(k *knock) { k.Role, k.Scopes = "node", nil }),
		p.at(t, "operator", p.here, false, nil),
	)
}

func (p policies) upgrades(t *testing.T) {
	device := p.at(t, "grows", p.here, true, func(k *knock) { k.Scopes = readOnly })
	state := t.TempDir()
	w := startWatch(t, p.g, state, "--approve=token")
	expect(t, p.g, state, device)
	device.Scopes, device.admitted = readWrite, false
	knockAt(t, p.here, func() knock { k := device.knock; k.URL, k.Token = p.here.URL(p.g), approveToken; return k }())
	await(t, "the upgrade to be left", func() bool {
		record := decisions(t, state)[device.deviceID(t)]
		return record.Action == approve.LeftPending && record.Upgrade
	})
	w.kill()
	state = t.TempDir()
	startWatch(t, p.g, state, "--approve=token", "--approve-upgrades")
	device.admitted = true
	await(t, "the upgrade to be approved", func() bool { return decisions(t, state)[device.deviceID(t)].Action == approve.Approving })
	k := device.knock
	k.URL, k.Token, k.Again = p.here.URL(p.g), approveToken, 20
	if v := knockAt(t, p.here, k)[0]; !v.OK {
		t.Errorf("after the upgrade: %s", v.Message)
	}
}

func (p policies) local(t *testing.T) {
	state := t.TempDir()
	if p.version < "2026.8" {
		result := gatewaytest.RunBootstrap(t, gatewaytest.Command{
			Argv: []string{"approve", "--watch", "--approve=local", "--state-dir", state, "--gateway-url", p.g.URL},
			Env:  []string{"OPENCLAW_GATEWAY_TOKEN=" + approveToken},
		})
		if result.Code != 2 || !strings.Contains(result.Stderr, "X-Forwarded-For") {
			t.Errorf("ended with %d: %s", result.Code, result.Stderr)
		}
		return
	}
	startWatch(t, p.g, state, "--approve=local", "--approve-upgrades")
	// A new device on loopback is let in by the gateway itself; one that comes
	// from another platform than before has to ask.
	known := newDevice(t)
	p.pair(t, known, readOnly)
	if asked := p.ask(t, known, "darwin", readOnly); asked.RequestID == "" {
		t.Fatalf("no request: %s", asked.Message)
	}
	expect(t, p.g, state, p.at(t, "remote", p.here, false, nil))
	await(t, "the local one to be approved", func() bool { return decisions(t, state)[known.DeviceID()].Action == approve.Approving })
}

func (p policies) hundred(t *testing.T) {
	state := t.TempDir()
	startWatch(t, p.g, state, "--approve=token")
	var crowd []knock
	for i := range 100 {
		crowd = append(crowd, newKnock(t, fmt.Sprint("one of many ", i), func(k *knock) {
			k.URL, k.Token, k.Again = p.here.URL(p.g), approveToken, 100
		}))
	}
	for i, verdict := range knockAt(t, p.here, crowd...) {
		if !verdict.OK {
			t.Errorf("%d: %s", i, verdict.Message)
		}
	}
	if known := decisions(t, state); len(known) != 100 {
		t.Errorf("%d of 100 are in the audit", len(known))
	}
}

func (p policies) byID(t *testing.T) {
	run := func(args ...string) gatewaytest.Result {
		return gatewaytest.RunBootstrap(t, gatewaytest.Command{
			Argv: append([]string{"approve", "--state-dir", t.TempDir(), "--gateway-url", p.g.URL}, args...),
			Env:  []string{"OPENCLAW_GATEWAY_TOKEN=" + approveToken},
		})
	}
	operator := newKnock(t, "by hand", func(k *knock) { k.URL, k.Token = p.here.URL(p.g), approveToken })
	node := newKnock(t, "node by hand", func(k *knock) {
		k.URL, k.Token, k.Role, k.Scopes = p.here.URL(p.g), approveToken, "node", nil
	})
	asked := knockAt(t, p.here, operator, node)
	if listed := run("--list", "--json"); !strings.Contains(listed.Stdout, asked[0].RequestID) || !strings.Contains(listed.Stdout, `"remoteIp": "`+p.here.ClientAddr) {
		t.Errorf("--list says %s%s", listed.Stdout, listed.Stderr)
	}
	for _, wrong := range [][]string{
		{asked[1].RequestID}, {"--role", "node", asked[0].RequestID}, {"--device", node.deviceID(t), asked[0].RequestID}, {"88df06b4-f975-42f8-9b88-f3b31bbe3d4e"},
	} {
		if result := run(wrong...); result.Code != 2 {
			t.Errorf("%q ended with %d: %s%s", wrong, result.Code, result.Stdout, result.Stderr)
		}
	}
	if result := run("--device", operator.deviceID(t), asked[0].RequestID); result.Code != 0 || !strings.Contains(result.Stdout, "asks for  operator with read,write") {
		t.Errorf("ended with %d: %s%s", result.Code, result.Stdout, result.Stderr)
	}
	if result := run("--role", "node", asked[1].RequestID); result.Code != 0 {
		t.Errorf("ended with %d: %s%s", result.Code, result.Stdout, result.Stderr)
	}
	for i, verdict := range knockAt(t, p.here, operator, node) {
		if !verdict.OK {
			t.Errorf("%d is not let in: %s", i, verdict.Message)
		}
	}
}

// Who knocks while the gateway restarts in place is not forgotten, and "run"
// answers by itself.
func TestRunAnswersAcrossARestart(t *testing.T) {
	t.Parallel()
	for version, restart := range map[string]syscall.Signal{"2026.5.28": syscall.SIGUSR1, "2026.9.6": syscall.SIGUSR2} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			remote := gatewaytest.NewRemote(t)
			g := openGateway(t, version, gatewaytest.Bootstrap(t), "run", "--approve=token", "--")
			g.WaitOutput(t, "watching for pairing requests")
			comes := func(name string) knock {
				return newKnock(t, name, func(k *knock) { k.URL, k.Token, k.Again = remote.URL(g), approveToken, 200 })
			}
			if v := knockAt(t, remote, comes("before"))[0]; !v.OK {
				t.Errorf("before the restart: %s", v.Message)
			}
			g.Signal(t, restart)
			for _, v := range knockAt(t, remote, comes("during"), comes("during, too")) {
				if !v.OK {
					t.Errorf("during the restart: %s", v.Message)
				}
			}
			if code := g.Stop(t); code != 0 {
				t.Errorf("the gateway ended with %d", code)
			}
		})
	}
}
