package cli

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
	"rsc.io/qr/coding"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/status"
)

func (a *app) linkCommand() *cli.Command {
	return &cli.Command{
		Name:  "link",
		Usage: "print an address that lets one browser into the Control UI, once, within ten minutes",
		Description: "The browser gets the owner's rights and keeps them: it needs no token and no approval, then or later. Whoever sees the address can use it " +
			"first, so print it for yourself: docker exec CONTAINER bootstrap link. From 2026.8.1 on. For example:\n\n" +
			"  bootstrap link --url https://gateway.example --qr",
		Flags: flags("link", jsonFlag(),
			&cli.BoolFlag{Name: "qr", Usage: "draw it as a QR code, too, for a telephone"},
			&cli.BoolFlag{Name: "revoke", Usage: "make no link, and end all that were not used yet"},
		),
		Action: noArguments(a.link),
	}
}

// linkReport is what "link --json" prints. URL is a secret until it was used.
type linkReport struct {
	seed.Link
	URL string `json:"url"`
}

func (a *app) link(c *cli.Context) error {
	asker := os.Getuid() // before it becomes the gateway's user
	s, err := a.load(c)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json") && c.Bool("qr"):
		return pairing.Usage(errors.New("--json and --qr do not go together"),
			"bootstrap link --help")
	case !c.Bool("revoke") && a.isContainerOutput():
		return pairing.Usage(errors.New("what is printed here goes to the container's output, which others can read: no link was made"),
			"docker exec CONTAINER bootstrap link   kubectl exec POD -- bootstrap link")
	}
	t, err := a.settle(s, nil, false)
	if err != nil {
		return err
	}
	if t.Config.NoControlUI && !c.Bool("revoke") {
		return pairing.Usage(errors.New("the gateway serves no Control UI: gateway.controlUi.enabled is false in its configuration"),
			"openclaw config unset gateway.controlUi.enabled, and start the gateway again")
	}
	if err := a.knowsLinks(t); err != nil {
		return err
	}
	return seed.InSession(c.Context, t.SessionOptions(false), func(session *seed.Session) error {
		if c.Bool("revoke") {
			links, err := session.RevokeLinks(c.Context, time.Now(), asker)
			if err != nil {
				return err
			}
			return a.printRevoked(c, links)
		}
		made, err := session.MakeLink(c.Context, time.Now(), asker)
		if err != nil {
			return err
		}
		return a.printLink(c, made, a.reachedAt(c, t))
	})
}

// knowsLinks refuses, before anything is made, where a link would let nobody in.
func (a *app) knowsLinks(t *pairing.Target) error {
	if !t.Release.HasLinks() {
		at := string(publicURL(t))
		if !status.IsSecure(publicURL(t)) {
			at = "https://HOST"
		}
		return pairing.Usage(fmt.Errorf("the release %s knows no one-time links: they begin with %s", t.Release, "2026.8.1"),
			"open "+at+"/#token=TOKEN with the gateway's token, then: "+a.command("approve", "--list")+
				"   or without a person: bootstrap run --approve=first --approve-browser")
	}
	if !seed.HasDatabase(t.StateDir) {
		return seed.NoLinks(t.StateDir)
	}
	return nil
}

// publicURL is where the browser finds the Control UI, without a slash at its end.
func publicURL(t *pairing.Target) settings.WebURL {
	if t.Settings.PublicURL != "" {
		return settings.WebURL(strings.TrimRight(string(t.Settings.PublicURL), "/"))
	}
	at := strings.Replace(protocol.DisplayURL(t.Listen.URL()), "127.0.0.1", "localhost", 1)
	return settings.WebURL("http" + strings.TrimRight(strings.TrimPrefix(at, "ws"), "/") + t.Config.BasePath)
}

// reachedAt is where the browser finds the gateway that runs on this state directory, whose
// port is often in its command alone.
func (a *app) reachedAt(c *cli.Context, t *pairing.Target) settings.WebURL {
	other, found := status.FindRunning(c.Context, t)
	if !found && !t.Answers(c.Context) {
		a.log.Warn().Msg("nothing answers at " + t.ShownURL() + ": start the gateway before the link expires")
	}
	there := *t
	if other.Port != 0 {
		there.Listen.Port = other.Port
	}
	return publicURL(&there)
}

// linkURL is the link as the gateway's own dashboard command makes it (2026.9.6):
// what follows the # reaches no server, proxy or log.
func linkURL(at settings.WebURL, token string) string {
	return string(at) + "/#bootstrapToken=" + url.QueryEscape(token) + "&bootstrapProfile=owner&gatewayUrl=" + url.QueryEscape(string(at.Socket()))
}

func (a *app) printLink(c *cli.Context, made seed.Link, at settings.WebURL) error {
	address := linkURL(at, made.Token)
	a.log.Info().Str("link", made.ID).Str("until", made.Expires.Format(time.RFC3339)).Str("for", string(at)).
		Msg("one browser gets the owner's rights by this link")
	if c.Bool("json") {
		return a.printJSON(linkReport{Link: made, URL: address})
	}
	text := address + "\n"
	if c.Bool("qr") {
		drawn, err := drawQR(address)
		if err != nil {
			return err
		}
		text += drawn
	}
	_, err := fmt.Fprint(a.stdout, text)
	return err
}

func (a *app) printRevoked(c *cli.Context, links []seed.Link) error {
	for _, link := range links {
		a.log.Info().Str("link", link.ID).Msg("revoked: it lets nobody in any more")
	}
	if len(links) == 0 {
		a.log.Info().Msg("there is no link that could still be used")
	}
	if !c.Bool("json") {
		return nil
	}
	return a.printJSON(struct {
		Revoked []seed.Link `json:"revoked"`
	}{append([]seed.Link{}, links...)}) // never null
}

// isContainerOutput tells whether stdout is that of PID 1, which a container's
// runtime keeps in a log. A supervisor as PID 1 lets nobody look at its outputs; it
// hands them on to the process that it starts.
func (a *app) isContainerOutput() bool {
	out := a.stdout
	if wrapped, is := out.(*printout); is {
		out = wrapped.to
	}
	file, is := out.(*os.File)
	if !is {
		return false
	}
	var ours, first unix.Stat_t
	if unix.Fstat(int(file.Fd()), &ours) != nil || ours.Mode&unix.S_IFMT == unix.S_IFCHR && ours.Rdev == unix.Mkdev(1, 3) {
		return false
	}
	if unix.Stat("/proc/1/fd/1", &first) == nil {
		return ours.Dev == first.Dev && ours.Ino == first.Ino
	}
	if ours.Mode&unix.S_IFMT == unix.S_IFREG {
		return false // also dash's own output, while it runs a command into a file
	}
	started := startedByFirst()
	if started == os.Getpid() {
		return true
	}
	isTerminal := ours.Mode&unix.S_IFMT == unix.S_IFCHR // as on a machine, where PID 1 is no container's
	return started != 0 && !isTerminal && unix.Stat(fmt.Sprintf("/proc/%d/fd/1", started), &first) == nil &&
		ours.Dev == first.Dev && ours.Ino == first.Ino
}

// startedByFirst is which child of PID 1 this process descends from, or is; 0 where it
// came from outside, as by docker exec.
func startedByFirst() int {
	pid := os.Getpid()
	for {
		parent, ok := gateway.ParentOf(pid)
		switch {
		case !ok || parent == 0:
			return 0
		case parent == 1:
			return pid
		}
		pid = parent
	}
}

// quietZone is how many light modules a reader needs around the code.
const quietZone = 4

// drawQR draws two rows of modules a line. Light modules are the full blocks, which
// is right on a dark terminal, and read by most readers on a light one.
func drawQR(text string) (string, error) {
	version := coding.Version(coding.MinVersion)
	for version < coding.MaxVersion && coding.String(text).Bits(version) > version.DataBytes(coding.L)*8 {
		version++
	}
	plan, err := coding.NewPlan(version, coding.L, 0)
	if err != nil {
		return "", err
	}
	code, err := plan.Encode(coding.String(text))
	if err != nil {
		return "", err // an address of some 2,900 characters
	}
	var out strings.Builder
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		for x := -quietZone; x < code.Size+quietZone; x++ {
			switch above, below := code.Black(x, y), code.Black(x, y+1); {
			case above && below:
				out.WriteByte(' ')
			case above:
				out.WriteRune('▄')
			case below:
				out.WriteRune('▀')
			default:
				out.WriteRune('█')
			}
		}
		out.WriteByte('\n')
	}
	return out.String(), nil
}
