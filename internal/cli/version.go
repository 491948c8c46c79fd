package cli

import (
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"
)

// Release and Commit are set by the linker; see the Makefile.
var (
	Release = "dev"
	Commit  = "unknown"
)

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:         "version",
		Usage:        "say which bootstrap this is",
		OnUsageError: onUsageError,
		Flags:        []cli.Flag{jsonFlag()},
		Action: noArguments(func(c *cli.Context) error {
			version := struct {
				Release string `json:"release"`
				Commit  string `json:"commit"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{Release, Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH}
			if c.Bool("json") {
				return a.printJSON(version)
			}
			_, err := fmt.Fprintf(a.stdout, "bootstrap %s (commit %s, %s, %s/%s)\n",
				version.Release, version.Commit, version.Go, version.OS, version.Arch)
			return err
		}),
	}
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON for programs"} }
