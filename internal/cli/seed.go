package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/seed"
)

func (a *app) seedCommand() *cli.Command {
	return &cli.Command{
		Name:  "seed",
		Usage: "pair the state folder's own device, and clients, then end",
		Description: "For an init container, a one-shot service or an image test. The gateway may run meanwhile. For example:\n\n" +
			"  bootstrap seed --state-dir /data --client agent-1 --client viewer:read",
		Flags:        flags("seed", jsonFlag()),
		OnUsageError: onUsageError,
		Action:       a.seed,
	}
}

func (a *app) seed(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	imported, err := a.importedIdentity(s)
	if err != nil {
		return err
	}
	p, err := a.settle(s, nil, true)
	if err == nil {
		err = p.unready
	}
	if err != nil {
		return err
	}
	seeded, err := a.pair(c.Context, s, p, imported)
	if err != nil || !c.Bool("json") {
		return err
	}
	return a.printJSON(seedReport(seeded))
}

// report is what "seed --json" prints. It holds no secret.
type report struct {
	Store   seed.Kind      `json:"store"`
	Path    string         `json:"path"`
	Devices []reportDevice `json:"devices"`
}

type reportDevice struct {
	Name     string       `json:"name"`
	DeviceID string       `json:"deviceId"`
	Outcome  seed.Outcome `json:"outcome"`
	Scopes   []string     `json:"scopes"`
	Wider    []string     `json:"wider,omitempty"`
}

func seedReport(seeded pairing) report {
	out := report{Store: seeded.store.Kind, Path: seeded.store.Path}
	for _, result := range seeded.results {
		out.Devices = append(out.Devices, reportDevice{
			Name: result.Name, DeviceID: result.DeviceID, Outcome: result.Outcome,
			Scopes: result.Scopes, Wider: result.Wider,
		})
	}
	return out
}
