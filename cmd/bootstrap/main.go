// Command bootstrap pairs the operator devices of an OpenClaw gateway, proves
// that they are paired, and hands over to the gateway. See internal/cli.
package main

import (
	"os"

	"github.com/reflectt/bootstrap/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, os.Environ(), os.Stdout, os.Stderr))
}
