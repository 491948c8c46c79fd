// Command dockerfile-check says what is doubtful in Dockerfiles:
//
//	dockerfile-check FILE...
//
// It runs BuildKit's own checks, those of "docker build --check", and shellcheck
// on the commands of every RUN. Nothing is built and no image is looked up.
//
// It ends with 1 when something was found or a file cannot be read, else with 0.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/opencontainers/go-digest"
)

func main() {
	found := false
	for _, name := range os.Args[1:] {
		report := func(line int, rule, text string) {
			found = true
			fmt.Printf("%s:%d: %s: %s\n", name, line, rule, text)
		}
		content, err := os.ReadFile(name)
		if err == nil {
			err = checkBuild(content, report)
		}
		if err == nil {
			err = checkCommands(content, report)
		}
		if err != nil {
			report(0, "error", err.Error())
		}
	}
	if found {
		os.Exit(1)
	}
}

type reportFunc func(line int, rule, text string)

// checkBuild turns the file into a build of every stage, which is when BuildKit
// warns.
func checkBuild(content []byte, report reportFunc) error {
	_, err := dockerfile2llb.Dockerfile2LLB(context.Background(), content, dockerfile2llb.ConvertOpt{
		MetaResolver: unknownImages{},
		AllStages:    true,
		Warn: func(rule, _, url, text string, where []parser.Range) {
			report(firstLine(where), rule, text+" ("+url+")")
		},
	})
	return err
}

// unknownImages are base images of which nothing is known.
type unknownImages struct{}

func (unknownImages) ResolveImageConfig(_ context.Context, name string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return name, "", []byte("{}"), nil
}

// checkCommands hands what a RUN gives to /bin/sh to shellcheck.
func checkCommands(content []byte, report reportFunc) error {
	file, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return err
	}
	stages, _, err := instructions.Parse(file.AST, nil)
	if err != nil {
		return err
	}
	for _, stage := range stages {
		for _, command := range stage.Commands {
			run, ok := command.(*instructions.RunCommand)
			if !ok || !run.PrependShell {
				continue
			}
			line := firstLine(run.Location())
			if len(run.Files) > 0 {
				report(line, "error", "here-documents are not understood by this check")
			}
			shellcheck := exec.Command("shellcheck", "--shell=sh", "--format=gcc", "-")
			shellcheck.Stdin = strings.NewReader(strings.Join(run.CmdLine, " ") + "\n")
			findings, err := shellcheck.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return err
			}
			if err != nil {
				report(line, "shellcheck", strings.TrimSpace(string(findings)))
			}
		}
	}
	return nil
}

func firstLine(where []parser.Range) int {
	if len(where) == 0 {
		return 0
	}
	return where[0].Start.Line
}
