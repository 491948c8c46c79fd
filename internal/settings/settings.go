// Package settings owns what a person can set: every flag and every variable
// is one field of [Settings], with its default and its description, and
// nothing else in the program reads the environment for itself. A flag wins
// over its variable; an empty variable counts as unset.
//
// Values are checked here, all of them at once, so that a person fixes them in
// one go. This package opens no file but the manifest it is pointed at.
package settings

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caarlos0/env/v10"
)

// Settings are the values of all flags and variables. The tag cmd names the commands that
// have the flag; secret marks what the gateway's environment must not inherit.
type Settings struct {
	StateDir       string   `env:"OPENCLAW_STATE_DIR" flag:"state-dir" arg:"DIR" cmd:"run,seed,probe,identity,status,bridge,approve,join,link" usage:"state directory of the gateway (default: as the gateway finds it)"`
	GatewayPackage string   `env:"BOOTSTRAP_GATEWAY_PACKAGE" flag:"gateway-package" arg:"DIR" cmd:"run,seed,probe,status,bridge,approve,join,link" usage:"directory of the installed openclaw package (default: found from the command)"`
	User           UserSpec `env:"BOOTSTRAP_USER" flag:"user" arg:"USER" cmd:"run,seed,probe,identity,status,bridge,approve,join,link" usage:"when root, become this user first: NAME or UID, with :GID if need be (default: PUID:PGID where that is set, else the owner of the state directory)"`

	AllowEscalation bool `env:"BOOTSTRAP_ALLOW_PRIVILEGE_ESCALATION" envDefault:"false" flag:"allow-privilege-escalation" cmd:"run" usage:"when root becomes another user: let sudo, other setuid programs and file capabilities work below it (default: no_new_privs)"`

	IdentityFile string `env:"BOOTSTRAP_IDENTITY_FILE" flag:"identity-file" arg:"FILE" cmd:"run,seed,identity" usage:"private key to import as the state directory's own device: PEM, or a 32-byte seed in hex or base64"`
	Identity     Secret `env:"BOOTSTRAP_IDENTITY" secret:"true" cmd:"run,seed,identity" usage:"the same key itself; never given to the gateway"`
	Preset       Preset `env:"BOOTSTRAP_PRESET" flag:"preset" arg:"NAME" cmd:"run,seed,status" usage:"scopes of the state directory's own device: full, standard, read or pairing (default: full; without it, only the start of a gateway widens what was narrowed)"`
	Scopes       Scopes `env:"BOOTSTRAP_SCOPES" flag:"scope" arg:"SCOPE" cmd:"run,seed,status" usage:"explicit scope instead of the preset's, such as operator.read; repeatable"`

	Clients   Clients `env:"BOOTSTRAP_CLIENTS" flag:"client" arg:"NAME[:PRESET][=KEY]" cmd:"run,seed,status" usage:"one more device to pair, with its own key in a bundle, or with the public KEY that it keeps itself; repeatable"`
	Manifest  string  `env:"BOOTSTRAP_MANIFEST" flag:"manifest" arg:"FILE" cmd:"run,seed,status" usage:"YAML or JSON file that lists more clients, as in clients: [{name: viewer, preset: read}]; a client may have scopes: [SCOPE] instead of the preset, and the publicKey of a key that it keeps itself"`
	BundleDir string  `env:"BOOTSTRAP_BUNDLE_DIR" flag:"bundle-dir" arg:"DIR" cmd:"run,seed,status,bridge,join" usage:"where the clients' bundles go (default: bootstrap/clients in the state directory)"`

	ClientURL           URL         `env:"BOOTSTRAP_CLIENT_URL" flag:"client-url" arg:"URL" cmd:"run,seed" usage:"where bundles tell their clients to find the gateway, such as ws://gateway:18789 (default: the gateway's own URL)"`
	GatewayURL          URL         `env:"OPENCLAW_GATEWAY_URL" flag:"gateway-url" arg:"URL" cmd:"run,seed,probe,status,bridge,approve,join" usage:"where the gateway answers, ws:// or wss:// (default: this machine, at the gateway's port)"`
	GatewayTokenFile    string      `env:"OPENCLAW_GATEWAY_TOKEN_FILE" flag:"gateway-token-file" arg:"FILE" cmd:"run,probe,status,bridge,approve,join" usage:"file with the gateway's shared token; run hands it to the gateway as OPENCLAW_GATEWAY_TOKEN"`
	GatewayPasswordFile string      `env:"OPENCLAW_GATEWAY_PASSWORD_FILE" flag:"gateway-password-file" arg:"FILE" cmd:"run,probe,status,bridge,approve,join" usage:"file with the gateway's shared password; run hands it to the gateway as OPENCLAW_GATEWAY_PASSWORD"`
	CAFile              string      `env:"BOOTSTRAP_CA_FILE" flag:"ca-file" arg:"FILE" cmd:"run,probe,bridge,approve,join" usage:"PEM file of the authorities to trust for wss:// (default: the system's; for the gateway here, its own certificate)"`
	Fingerprint         Fingerprint `env:"BOOTSTRAP_TLS_FINGERPRINT" flag:"tls-fingerprint" arg:"HEX" cmd:"run,probe,bridge,approve,join" usage:"SHA-256 of the gateway's certificate, trusted instead of any authority"`

	PublicURL WebURL `env:"BOOTSTRAP_PUBLIC_URL" flag:"url" arg:"URL" cmd:"link" usage:"address at which the browser opens the Control UI, such as https://gateway.example (default: localhost, at the gateway's port)"`

	Origins        []WebURL `env:"BOOTSTRAP_ORIGINS" flag:"origin" arg:"URL" cmd:"run,status" usage:"origin at which browsers open the Control UI: says what to add to openclaw.json where the gateway would refuse it; repeatable"`
	TrustedProxies Networks `env:"BOOTSTRAP_TRUSTED_PROXIES" flag:"trusted-proxy" arg:"CIDR" cmd:"run,status" usage:"address or network of a reverse proxy before the gateway: says what to add to openclaw.json where the gateway would not believe it; repeatable"`

	Handover      Handover      `env:"BOOTSTRAP_HANDOVER" envDefault:"auto" flag:"handover" arg:"HOW" cmd:"run" usage:"exec replaces bootstrap by the gateway; supervise stays as its init; auto supervises as PID 1, and where another setting needs that"`
	RequirePaired bool          `env:"BOOTSTRAP_REQUIRE_PAIRED" envDefault:"false" flag:"require-paired" cmd:"run" usage:"stop the gateway where its first proof fails, and what is no gateway's command only where one answers and refuses (default: warn, and go on trying)"`
	ProveTimeout  time.Duration `env:"BOOTSTRAP_PROVE_TIMEOUT" flag:"prove-timeout" arg:"TIME" cmd:"run" usage:"how long the gateway may take to answer the proof before a warning; the tries go on (default: 2m, and 10m with --require-paired, which ends the gateway then)"`
	ReadyFile     string        `env:"BOOTSTRAP_READY_FILE" flag:"ready-file" arg:"FILE" cmd:"run" usage:"file that is there while the pairing is proven, or off (default: as PID 1 /run/bootstrap.ready, or bootstrap-UID/bootstrap.ready in the temporary directory where that cannot be written)"`
	HealthListen  Address       `env:"BOOTSTRAP_HEALTH_LISTEN" flag:"health-listen" arg:"ADDR" cmd:"run" usage:"answer /livez, /readyz and /metrics (Prometheus) on this HOST:PORT; without a host only on this machine"`
	NotifySocket  string        `env:"NOTIFY_SOCKET" cmd:"run" usage:"systemd sets it (Type=notify): READY=1 goes there once /readyz would say ready; not handed on to the gateway, and neither are WATCHDOG_USEC and WATCHDOG_PID"`
	StopTimeout   time.Duration `env:"BOOTSTRAP_STOP_TIMEOUT" flag:"stop-timeout" arg:"TIME" cmd:"run" usage:"kill a gateway that has not ended this long after it was told to (default: never; that is the runtime's to decide)"`
	RemapExit     ExitCodes     `env:"BOOTSTRAP_REMAP_EXIT" flag:"remap-exit" arg:"CODE[=TO]" cmd:"run" usage:"end with TO, 0 without it, where the gateway ends with CODE, such as 143 after a signal; repeatable, and not for the codes of bootstrap's own"`
	LockTimeout   time.Duration `env:"BOOTSTRAP_LOCK_TIMEOUT" envDefault:"30s" flag:"lock-timeout" arg:"TIME" cmd:"run,seed,identity,bridge,approve,join,link" usage:"how long to wait for another bootstrap on the same state directory"`

	Hooks       string        `env:"BOOTSTRAP_HOOKS" flag:"hooks" arg:"DIR" cmd:"run,status" usage:"directory whose pre-start.d and proven.d have programs to run before the gateway starts, and once its pairing is proven; or off (default: /etc/bootstrap, where it is there)"`
	HookTimeout time.Duration `env:"BOOTSTRAP_HOOK_TIMEOUT" envDefault:"5m" flag:"hook-timeout" arg:"TIME" cmd:"run" usage:"how long each hook may run"`
	HookFailure HookFailure   `env:"BOOTSTRAP_HOOK_FAILURE" envDefault:"stop" flag:"hook-failure" arg:"POLICY" cmd:"run" usage:"what a hook that fails means: stop ends with 21, before the gateway starts or by stopping it; warn goes on with the next hook"`
	ProvenHooks HookRepeat    `env:"BOOTSTRAP_PROVEN_HOOKS" envDefault:"once" flag:"proven-hooks" arg:"WHEN" cmd:"run,status" usage:"how often a hook of proven.d runs: once on each state directory, by its name and content; or always, at the first proof of each start"`

	Approve         Rules         `env:"BOOTSTRAP_APPROVE" flag:"approve" arg:"POLICY" cmd:"run,approve" usage:"approve pairing requests without a person: token, first, local, cidr:NETWORK; a comma means or, + means and; repeatable (default: nobody)"`
	ApproveRole     Role          `env:"BOOTSTRAP_APPROVE_ROLE" envDefault:"operator" flag:"approve-role" arg:"ROLE" cmd:"run,approve" usage:"the only role that the policy admits: operator or node"`
	ApproveScopes   Scopes        `env:"BOOTSTRAP_APPROVE_SCOPES" envDefault:"operator.read,operator.write" flag:"approve-scopes" arg:"SCOPE" cmd:"run,approve" usage:"all scopes that the policy admits; repeatable"`
	ApproveClients  ClientKinds   `env:"BOOTSTRAP_APPROVE_CLIENT" flag:"approve-client" arg:"ID[/MODE]" cmd:"run,approve" usage:"admit only clients that call themselves so, such as cli/cli; repeatable (default: all)"`
	ApproveMax      int           `env:"BOOTSTRAP_APPROVE_MAX" flag:"approve-max" arg:"N" cmd:"run,approve" usage:"approve at most N devices, across restarts (default: no limit)"`
	ApproveFor      time.Duration `env:"BOOTSTRAP_APPROVE_FOR" flag:"approve-for" arg:"TIME" cmd:"run,approve" usage:"approve only this long after each start, from the gateway's first answer on (default: no limit)"`
	ApproveUpgrades bool          `env:"BOOTSTRAP_APPROVE_UPGRADES" envDefault:"false" flag:"approve-upgrades" cmd:"run,approve" usage:"also what a paired device asks for beyond what it has; never by the policy first"`
	ApproveBrowser  bool          `env:"BOOTSTRAP_APPROVE_BROWSER" envDefault:"false" flag:"approve-browser" cmd:"run,approve" usage:"let the policy of --approve admit the Control UI alone, with the scopes that it asks for (admin among them): one browser, within ten minutes of each start; --approve-max and --approve-for say otherwise"`

	LogFormat LogFormat `env:"BOOTSTRAP_LOG_FORMAT" envDefault:"auto" flag:"log-format" arg:"FORMAT" cmd:"run,seed,probe,identity,status,bridge,approve,join,link" usage:"console, json, or auto: console on a terminal"`

	Bridge              []string `env:"BOOTSTRAP_BRIDGE" flag:"bridge" arg:"ADDR" cmd:"run" usage:"let clients in that cannot sign, as bootstrap bridge --listen does, while the gateway runs: HOST:PORT, a PORT of this machine, or unix:PATH for the one client that the file is named after; repeatable"`
	BridgeTokenFile     string   `env:"BOOTSTRAP_BRIDGE_TOKEN_FILE" flag:"bridge-token-file" arg:"FILE" cmd:"run,bridge" usage:"file with the token that clients of the bridge show as theirs, unless their bundle has a bridge-token of its own; needed where other machines can connect"`
	BridgeTokens        bool     `env:"BOOTSTRAP_BRIDGE_TOKENS" envDefault:"false" flag:"bridge-tokens" cmd:"run,seed,bridge,join" usage:"put a bridge-token of its own into each bundle that has none, which its client then has to show"`
	BridgeURL           URL      `env:"BOOTSTRAP_BRIDGE_URL" flag:"bridge-url" arg:"URL" cmd:"run,seed,join" usage:"where clients reach the bridge: bundles lead there, to URL/NAME, and the device's token is not among their variables"`
	BridgeHosts         []string `env:"BOOTSTRAP_BRIDGE_HOSTS" flag:"bridge-host" arg:"NAME" cmd:"run,bridge" usage:"host name by which clients call the bridge, beside localhost and this machine's own; repeatable"`
	BridgeRemoteAsLocal bool     `env:"BOOTSTRAP_BRIDGE_REMOTE_AS_LOCAL" envDefault:"false" flag:"bridge-remote-as-local" cmd:"run,bridge" usage:"pass on a client with a device of its own from another machine, too: the gateway takes it for a local one, so whoever has the gateway's token becomes an administrator without approval (default: refused)"`
	BridgeJoin          string   `env:"BOOTSTRAP_BRIDGE_JOIN" flag:"bridge-join" arg:"PRESET" cmd:"run,bridge" usage:"pair unknown client names on first connect, as read or standard (default: off)"`
}

// Field describes one setting to whoever builds flags or documents them.
type Field struct {
	Env, Flag, Arg, Usage, Default string
	Commands                       []string
	Secret, Bool, Repeatable       bool
}

// Fields lists every setting, in the order of [Settings]. The list is made once and
// is everybody's: who changes it has to copy it.
func Fields() []Field { return fields() }

var fields = sync.OnceValue(readFields)

func readFields() []Field {
	t := reflect.TypeFor[Settings]()
	fields := make([]Field, t.NumField())
	for i := range fields {
		f := t.Field(i)
		fields[i] = Field{
			Env: f.Tag.Get("env"), Flag: f.Tag.Get("flag"), Arg: f.Tag.Get("arg"),
			Usage: f.Tag.Get("usage"), Default: f.Tag.Get("envDefault"),
			Commands:   strings.Split(f.Tag.Get("cmd"), ","),
			Secret:     f.Tag.Get("secret") == "true",
			Bool:       f.Type.Kind() == reflect.Bool,
			Repeatable: f.Type.Kind() == reflect.Slice,
		}
	}
	return fields
}

// Error lists every wrong value, each by its flag and variable.
type Error struct{ Problems []string }

func (e *Error) Error() string { return strings.Join(e.Problems, "; ") }
func (e *Error) Class() string { return "usage" }

// Load reads the settings from an environment and from flags, the latter by
// the names of their variables. Every wrong value is in the one [Error].
func Load(environ, flags map[string]string) (Settings, error) {
	merged := map[string]string{}
	maps.Copy(merged, environ)
	maps.DeleteFunc(merged, func(_, value string) bool { return strings.TrimSpace(value) == "" })
	problems := misspelt(merged)
	maps.Copy(merged, flags)
	for _, field := range Fields() {
		if value, set := merged[field.Env]; set && !field.Secret {
			// A file with the line ends of Windows leaves a \r behind each value.
			merged[field.Env] = strings.TrimSpace(value)
			if field.Repeatable {
				merged[field.Env] = strings.Join(splitList(value), ",")
			}
		}
	}
	var s Settings
	err := env.ParseWithOptions(&s, env.Options{Environment: merged, FuncMap: parsers()})
	problems = append(problems, describe(err)...)
	if s.Manifest != "" {
		clients, wrong := readManifest(s.Manifest)
		for _, problem := range wrong {
			problems = append(problems, "--manifest (BOOTSTRAP_MANIFEST): "+s.Manifest+": "+problem)
		}
		s.Clients = append(s.Clients, clients...)
	}
	if merged["BOOTSTRAP_PROVE_TIMEOUT"] == "" {
		s.ProveTimeout = usualProveTimeout(s.RequirePaired)
	}
	problems = append(problems, s.takePUID(merged)...)
	problems = append(problems, s.conflicts(merged)...)
	if len(problems) > 0 {
		// With what could be read: how to log the error is among it.
		return s, &Error{Problems: problems}
	}
	return s, nil
}

// usualProveTimeout is how long a gateway may boot by default. A first
// boot of 2026.9.6 on a busy machine took 119 s: to warn too soon costs a line, to
// end the gateway too soon costs the boot.
func usualProveTimeout(requirePaired bool) time.Duration {
	if requirePaired {
		return 10 * time.Minute
	}
	return 2 * time.Minute
}

// conflicts are values that are fine alone and not together.
func (s *Settings) conflicts(merged map[string]string) (problems []string) {
	if s.Identity != "" && s.IdentityFile != "" {
		problems = append(problems, "BOOTSTRAP_IDENTITY and BOOTSTRAP_IDENTITY_FILE are both set: keep one of them")
	}
	if merged["OPENCLAW_GATEWAY_TOKEN"] != "" && s.GatewayTokenFile != "" {
		problems = append(problems, "OPENCLAW_GATEWAY_TOKEN and OPENCLAW_GATEWAY_TOKEN_FILE are both set: keep one of them")
	}
	if merged["OPENCLAW_GATEWAY_PASSWORD"] != "" && s.GatewayPasswordFile != "" {
		problems = append(problems, "OPENCLAW_GATEWAY_PASSWORD and OPENCLAW_GATEWAY_PASSWORD_FILE are both set: keep one of them")
	}
	for _, staying := range []struct {
		flag string
		set  bool
	}{
		{"--require-paired", s.RequirePaired}, {"--health-listen", s.HealthListen != ""},
		{"--ready-file", s.ReadyFile != "" && s.ReadyFile != "off"}, {"--stop-timeout", s.StopTimeout != 0},
		{"--remap-exit", len(s.RemapExit) > 0},
		{"--approve", len(s.Approve) > 0}, {"--bridge", len(s.Bridge) > 0},
	} {
		if s.Handover == Exec && staying.set {
			problems = append(problems, staying.flag+" needs bootstrap to stay, so it does not go with --handover=exec: leave one of them out")
		}
	}
	problems = append(problems, s.bridgeConflicts()...)
	problems = append(problems, s.browserConflicts(merged)...)
	if timeout, err := ParseTime(merged["BOOTSTRAP_PROVE_TIMEOUT"]); err == nil && timeout == 0 && s.RequirePaired && s.GatewayURL == "" {
		problems = append(problems, "--prove-timeout 0 (BOOTSTRAP_PROVE_TIMEOUT) and --require-paired do not go together: no gateway answers as soon as it is started, so each would be stopped; leave the time out, or give a longer one, such as 10m")
	}
	if s.HookTimeout <= 0 {
		problems = append(problems, "--hook-timeout (BOOTSTRAP_HOOK_TIMEOUT): a hook needs some time, such as 5m")
	}
	if most, err := strconv.Atoi(merged["BOOTSTRAP_APPROVE_MAX"]); err == nil && most <= 0 {
		problems = append(problems, "--approve-max (BOOTSTRAP_APPROVE_MAX): at least 1 device; to admit nobody, leave --approve out")
	}
	if most, err := ParseTime(merged["BOOTSTRAP_APPROVE_FOR"]); err == nil && most == 0 && merged["BOOTSTRAP_APPROVE_FOR"] != "" {
		problems = append(problems, "--approve-for (BOOTSTRAP_APPROVE_FOR): some time, such as 10m; to admit nobody, leave --approve out")
	}
	names, keys := map[string]bool{}, map[string]string{}
	for _, client := range s.Clients {
		if names[client.Name] {
			problems = append(problems, fmt.Sprintf("--client (BOOTSTRAP_CLIENTS): %q is there twice", client.Name))
		}
		names[client.Name] = true
		if client.PublicKey == "" {
			continue
		}
		if other, taken := keys[client.PublicKey]; taken {
			problems = append(problems, fmt.Sprintf("--client (BOOTSTRAP_CLIENTS): %q and %q have the same public key: a device has one name", other, client.Name))
		}
		keys[client.PublicKey] = client.Name
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"--prove-timeout (BOOTSTRAP_PROVE_TIMEOUT)", s.ProveTimeout}, {"--lock-timeout (BOOTSTRAP_LOCK_TIMEOUT)", s.LockTimeout}, {"--stop-timeout (BOOTSTRAP_STOP_TIMEOUT)", s.StopTimeout}, {"--approve-for (BOOTSTRAP_APPROVE_FOR)", s.ApproveFor}} {
		if d.value < 0 {
			problems = append(problems, d.name+": a time cannot be negative")
		}
	}
	return problems
}

// describe turns the parser's errors, which name Go fields, into sentences
// that name flags and variables.
func describe(err error) (problems []string) {
	if err == nil {
		return nil
	}
	list := []error{err}
	if all := (env.AggregateError{}); errors.As(err, &all) {
		list = all.Errors
	}
	for _, err := range list {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			problems = append(problems, err.Error())
			continue
		}
		problems = append(problems, nameOf(parse.Name)+": "+innermost(parse.Err).Error())
	}
	slices.Sort(problems)
	return problems
}

func nameOf(fieldName string) string {
	f, ok := reflect.TypeFor[Settings]().FieldByName(fieldName)
	if !ok {
		return fieldName
	}
	if flag := f.Tag.Get("flag"); flag != "" {
		return "--" + flag + " (" + f.Tag.Get("env") + ")"
	}
	return f.Tag.Get("env")
}

// innermost drops the parser's own words around an error of ours.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
