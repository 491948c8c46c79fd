package gateway

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPortIsTheGateways(t *testing.T) {
	for _, c := range []struct {
		name, argv, variable, config, release string
		want                                  int
		problem                               bool
	}{
		{name: "default", want: 18789},
		{name: "flag", argv: "gateway --port 1", variable: "2", config: "3", want: 1},
		{name: "variable", variable: "2", config: "3", want: 2},
		{name: "configuration", config: "3", want: 3},
		{name: "the dev profile", argv: "--dev gateway", config: "3", want: 19001},
		{name: "the dev profile with a variable", argv: "--dev gateway", variable: "2", want: 2},
		{name: "dev behind the subcommand", argv: "gateway --dev", want: 18789},
		{name: "a host and port", variable: "10.0.0.1:2", want: 2},
		{name: "an IPv6 host and port", variable: "[::1]:2", want: 2},
		{name: "no IPv6 host without brackets", variable: "::1:2", want: 18789, problem: true},
		{name: "no number", variable: "abc", config: "3", want: 3, problem: true},
		{name: "digits and more, formerly", variable: "2abc", release: "2026.3.13", want: 2},
		{name: "a named profile has a port of its own", argv: "--profile foo gateway", want: 47223},
		{name: "and its letters count", argv: "--profile Foo gateway", want: 49879},
		{name: "but not in 2026.7.35", argv: "--profile foo gateway", release: "2026.7.35", want: 18789},
		{name: "nor for the default profile", argv: "--profile default gateway", want: 18789},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := testEnvironment(t)
			version := "2026.9.6"
			if c.release != "" {
				version = c.release
			}
			installPackage(t, env, version)
			if c.variable != "" {
				env.Vars["OPENCLAW_GATEWAY_PORT"] = c.variable
			}
			if c.config != "" {
				for _, dir := range []string{".openclaw", ".openclaw-dev"} {
					writeFile(t, filepath.Join(env.Home, dir, configName), "{gateway:{port:"+c.config+"}}")
				}
			}
			argv := "gateway"
			if c.argv != "" {
				argv = c.argv
			}
			in := inspect(t, "openclaw "+argv, env)
			if in.Listen.Port != c.want || (len(in.Problems) > 0) != c.problem {
				t.Errorf("got %d, problems %q", in.Listen.Port, in.Problems)
			}
		})
	}
}

func TestListenAddressIsTheGateways(t *testing.T) {
	for _, c := range []struct {
		name, argv, config, release string
		container                   bool
		tailnet                     string
		host, url                   string
	}{
		{name: "default", host: "127.0.0.1", url: "ws://127.0.0.1:18789"},
		{name: "default in a container", container: true, host: "0.0.0.0", url: "ws://127.0.0.1:18789"},
		{name: "in a container before 2026.4.29", release: "2026.2.26", container: true, host: "127.0.0.1", url: "ws://127.0.0.1:18789"},
		{name: "served by Tailscale in a container", argv: "--tailscale serve", container: true, host: "127.0.0.1", url: "ws://127.0.0.1:18789"},
		{name: "lan", argv: "--bind lan", host: "0.0.0.0", url: "ws://127.0.0.1:18789"},
		{name: "flag before configuration", argv: "--bind loopback", config: "{gateway:{bind:'lan'}}", host: "127.0.0.1", url: "ws://127.0.0.1:18789"},
		{name: "TLS", config: "{gateway:{tls:{enabled:true}}}", host: "127.0.0.1", url: "wss://127.0.0.1:18789"},
		{name: "custom", config: "{gateway:{bind:'custom',customBindHost:'10.1.2.3'}}", host: "10.1.2.3", url: "ws://127.0.0.1:18789"},
		{name: "custom up to 2026.7.35", release: "2026.7.35", config: "{gateway:{bind:'custom',customBindHost:'10.1.2.3'}}", host: "10.1.2.3", url: "ws://10.1.2.3:18789"},
		{name: "custom and open", release: "2026.7.35", config: "{gateway:{bind:'custom',customBindHost:'0.0.0.0'}}", host: "0.0.0.0", url: "ws://127.0.0.1:18789"},
		{name: "tailnet", release: "2026.5.28", argv: "--bind tailnet", tailnet: "100.64.1.1", host: "100.64.1.1", url: "ws://100.64.1.1:18789"},
		{name: "tailnet without one", argv: "--bind tailnet", host: "127.0.0.1", url: "ws://127.0.0.1:18789"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := testEnvironment(t)
			env.Container, env.TailnetIPv4 = c.container, func() string { return c.tailnet }
			version := "2026.9.6"
			if c.release != "" {
				version = c.release
			}
			installPackage(t, env, version)
			if c.config != "" {
				writeFile(t, filepath.Join(env.Home, stateDirName, configName), c.config)
			}
			in := inspect(t, "openclaw gateway "+c.argv, env)
			if in.Listen.Host != c.host || in.URL != c.url {
				t.Errorf("got %s, %s", in.Listen.Host, in.URL)
			}
		})
	}
}

func TestPortTakenTellsWhetherSomethingListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if taken, err := PortTaken(t.Context(), address); !taken || err != nil {
		t.Errorf("open: %v, %v", taken, err)
	}
	listener.Close()
	if taken, err := PortTaken(t.Context(), address); taken || err != nil {
		t.Errorf("closed: %v, %v", taken, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := PortTaken(over, address); err == nil || !strings.Contains(err.Error(), "cannot tell") {
		t.Errorf("cancelled: %v", err)
	}
}

func TestContainersAreRecognised(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		vars       map[string]string
		want       bool
	}{
		"nothing":   {"etc/hostname", "x", nil, false},
		"docker":    {".dockerenv", "", nil, true},
		"podman":    {"run/.containerenv", "", nil, true},
		"kube":      {"proc/1/cgroup", "0::/kubepods/besteffort/pod1\n", nil, true},
		"a session": {"proc/1/cgroup", "0::/init.scope\n", nil, false},
		"fly":       {"x", "", map[string]string{"FLY_MACHINE_ID": "1", "FLY_APP_NAME": "a"}, true},
	} {
		root := t.TempDir()
		writeFile(t, filepath.Join(root, c.file), c.text)
		if got := InContainer(c.vars, root); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheGatewaysPortIsTakenOnlyAtAnAddressThatItWants(t *testing.T) {
	for _, c := range []struct {
		host, address string
		want          bool
	}{
		{"127.0.0.1", "127.0.0.1:18789", true},
		{"127.0.0.1", "[::ffff:127.0.0.1]:18789", true},
		{"127.0.0.1", "[::]:18789", true},
		{"0.0.0.0", "10.1.2.3:18789", true},
		{"127.0.0.1", "10.1.2.3:18789", false},
		{"127.0.0.1", "127.0.0.1:18790", false},
		{"0.0.0.0", "unix:/run/a.sock", false},
	} {
		if got := (Listen{Host: c.host, Port: 18789}).Takes(c.address); got != c.want {
			t.Errorf("a gateway on %s, and %s: got %v", c.host, c.address, got)
		}
	}
}

// Read in 2026.9.6; its CLI looks for the certificate there, too.
func TestTheCertificateIsWhereTheGatewayMakesIt(t *testing.T) {
	for name, test := range map[string]struct{ config, stateDir, configPath, want string }{
		"in ~/.openclaw":           {"{enabled:true}", "", "", "home/.openclaw/gateway/tls/gateway-cert.pem"},
		"in the state directory":   {"{enabled:true}", "~/s", "~/c/openclaw.json", "home/s/gateway/tls/gateway-cert.pem"},
		"beside the configuration": {"{enabled:true}", "", "~/c/openclaw.json", "home/c/gateway/tls/gateway-cert.pem"},
		"where it says":            {"{enabled:true,autoGenerate:false,certPath:' ${DIR}/c.pem '}", "~/s", "", "home/certs/c.pem"},
		"without TLS":              {"{certPath:'/c.pem'}", "", "", ""},
	} {
		env := testEnvironment(t).with("OPENCLAW_STATE_DIR", test.stateDir).with("OPENCLAW_CONFIG_PATH", test.configPath).with("DIR", "~/certs")
		writeFile(t, ConfigPath(env, "", Release{}), "{gateway:{tls:"+test.config+"}}")
		want := test.want
		if want != "" {
			want = filepath.Join(filepath.Dir(env.Home), want)
		}
		if in := inspect(t, "openclaw gateway", env); in.Listen.TLSFile != want {
			t.Errorf("%s: %q, want %q", name, in.Listen.TLSFile, want)
		}
	}
}
