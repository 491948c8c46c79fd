package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// What the linker sets; see the Makefile. A release is built without git's
// directory, so that the same source gives the same bytes anywhere; what is empty is
// taken from what "go build" records of git, where it does.
var (
	Release = "dev"
	Commit  = ""
	// CommitTime is in RFC 3339, UTC. There is no build time: two builds of one
	// commit are equal.
	CommitTime = ""
	// Modified is true or false: whether files differed from the commit.
	Modified = ""
)

// version is which program this is; its JSON is a contract.
type version struct {
	Release string `json:"release"`
	// Commit and CommitTime are empty where nobody knows, Modified is null then.
	Commit     string `json:"commit"`
	CommitTime string `json:"commitTime"`
	Modified   *bool  `json:"modified"`
	Go         string `json:"go"`
	OS         string `json:"os"`
	Arch       string `json:"arch"`
}

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "say which bootstrap this is",
		Description: "For example:\n\n  bootstrap version --json",
		Flags:       flags("version", jsonFlag()),
		Action: noArguments(func(c *cli.Context) error {
			info, _ := debug.ReadBuildInfo()
			v := thisVersion(info)
			if c.Bool("json") {
				return a.printJSON(v)
			}
			_, err := fmt.Fprintln(a.stdout, v)
			return err
		}),
	}
}

// thisVersion joins what the linker was told with what the compiler recorded.
func thisVersion(info *debug.BuildInfo) version {
	recorded := map[string]string{}
	if info != nil {
		for _, setting := range info.Settings {
			recorded[setting.Key] = setting.Value
		}
	}
	v := version{
		Release: Release, Commit: cmp.Or(Commit, recorded["vcs.revision"]), CommitTime: cmp.Or(CommitTime, recorded["vcs.time"]),
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	if modified := cmp.Or(Modified, recorded["vcs.modified"]); modified != "" {
		v.Modified = new(modified == "true")
	}
	return v
}

func (v version) String() string {
	commit := "commit " + cmp.Or(v.Commit, "unknown")
	if v.CommitTime != "" {
		commit += " of " + v.CommitTime
	}
	if v.Modified != nil && *v.Modified {
		commit += ", modified"
	}
	return fmt.Sprintf("bootstrap %s (%s, %s, %s/%s)", v.Release, commit, v.Go, v.OS, v.Arch)
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON for programs"} }
