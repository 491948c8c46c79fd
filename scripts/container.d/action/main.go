// Command action runs the steps of a composite action as they stand, in the way
// of GitHub's runner, on this machine:
//
//	action FILE [INPUT=VALUE...]
//
// It prints what the steps print, and at the end the action's outputs and its job
// summary. It knows what action.yml uses, and refuses the rest: steps with "run" and
// bash, "if: always()", and the expressions inputs.NAME and steps.ID.outputs.NAME.
// It ends with 1 where a step failed, with 2 where it cannot run them.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

type action struct {
	Name        string
	Description string
	Author      string
	Branding    map[string]string
	Inputs      map[string]struct {
		Description string
		Required    bool
		Default     string
	}
	Outputs map[string]struct {
		Description string
		Value       string
	}
	Runs struct {
		Using string
		Steps []step
	}
}

type step struct {
	ID    string
	If    string
	Shell string
	Env   map[string]string
	Run   string
}

func main() {
	failed, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "action:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func run(file string, args []string) (failed bool, err error) {
	a, values, err := read(file, args)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "action")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for i, s := range a.Runs.Steps {
		if failed && s.If != "always()" {
			continue
		}
		output := filepath.Join(dir, fmt.Sprintf("output%d", i))
		code, err := s.run(dir, output, values)
		if err != nil {
			return false, err
		}
		failed = failed || code != 0
		if err := addOutputs(values, s.ID, output); err != nil {
			return false, err
		}
	}
	for name, output := range a.Outputs {
		value, err := expand(output.Value, values)
		if err != nil {
			return false, err
		}
		fmt.Printf("output %s=%s\n", name, value)
	}
	summary, err := os.ReadFile(filepath.Join(dir, "summary"))
	fmt.Printf("summary:\n%s", summary)
	return failed, err
}

// read checks the inputs as the runner does, which for a composite action is
// hardly at all: it only warns of those that are missing.
func read(file string, args []string) (a action, values map[string]string, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return a, nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&a); err != nil {
		return a, nil, err
	}
	if a.Runs.Using != "composite" {
		return a, nil, errors.New("not a composite action")
	}
	values = map[string]string{}
	for name, input := range a.Inputs {
		values["inputs."+name] = input.Default
	}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		if _, known := a.Inputs[name]; !known {
			return a, nil, fmt.Errorf("there is no input %q", name)
		}
		values["inputs."+name] = value
	}
	return a, values, nil
}

func (s step) run(dir, output string, values map[string]string) (code int, err error) {
	if s.Shell != "bash" || (s.If != "" && s.If != "always()") {
		return 0, fmt.Errorf("step %q: only bash and always() are known here", s.ID)
	}
	if strings.Contains(s.Run, "${{") {
		return 0, fmt.Errorf("step %q has an expression in its text: what comes from outside would be run", s.ID)
	}
	script := filepath.Join(dir, "script.sh")
	if err := os.WriteFile(script, []byte(s.Run), 0o600); err != nil {
		return 0, err
	}
	// As the runner calls it.
	cmd := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "GITHUB_OUTPUT="+output, "GITHUB_STEP_SUMMARY="+filepath.Join(dir, "summary"))
	for name, value := range s.Env {
		expanded, err := expand(value, values)
		if err != nil {
			return 0, err
		}
		cmd.Env = append(cmd.Env, name+"="+expanded)
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func addOutputs(values map[string]string, id, file string) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(content)) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !found || strings.ContainsAny(name, "< ") {
			return fmt.Errorf("step %q puts out %q", id, line)
		}
		values["steps."+id+".outputs."+name] = value
	}
	return err
}

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

// expand gives nothing for an output that no step has set, as the runner does.
func expand(text string, values map[string]string) (string, error) {
	var err error
	expanded := expression.ReplaceAllStringFunc(text, func(match string) string {
		name := expression.FindStringSubmatch(match)[1]
		value, known := values[name]
		if !known && !strings.HasPrefix(name, "steps.") {
			err = fmt.Errorf("%q is not known here", name)
		}
		return value
	})
	return expanded, err
}
