package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/reflectt/bootstrap/internal/launch"
)

// Start runs a program to its end: [launch.RunJob], or beside a gateway
// [launch.Process.RunJob].
type Start func(context.Context, launch.Job) (launch.JobResult, error)

// Runner runs hooks one after the other.
type Runner struct {
	Start Start
	// Env is what each hook gets.
	Env []string
	// Timeout is how long each may run.
	Timeout time.Duration
	// Grace is how long one that was told to end has before it is killed.
	Grace time.Duration
	// Rest is how long the rest of a hook's output is waited for when it has ended:
	// what it left running may hold the other end for ever.
	Rest time.Duration
	// Said gets each line of a hook's output, as [Lines] cuts it, in the order of the
	// lines, also what a program says that the hook has left running.
	Said func(hook Hook, line string)
}

// Failure says how a hook ended that did not end with 0.
type Failure struct {
	Hook Hook
	// Code is its exit code, 128+n for signal n, or what a shell says of a program
	// that cannot be started.
	Code   int
	Reason string
}

func (e *Failure) Error() string {
	return fmt.Sprintf("hook %s/%s %s", e.Hook.Stage, e.Hook.Name, e.Reason)
}

// Run runs one hook. Errors are a [*Failure], or the context's cause.
func (r Runner) Run(ctx context.Context, hook Hook) error {
	read, write, err := os.Pipe()
	if err != nil {
		return &Failure{hook, launch.CodeCannotRun, "cannot be started: " + err.Error()}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		defer func() { _ = read.Close() }()
		Lines(read, func(line string) { r.Said(hook, line) })
	}()
	limited, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	result, err := r.Start(limited, launch.Job{
		Path: hook.Path, Argv: []string{hook.Path}, Env: r.Env, Output: write, Grace: r.Grace,
	})
	_ = write.Close()
	select {
	case <-drained:
	case <-time.After(r.Rest):
	}
	var command *launch.CommandError
	switch {
	case errors.As(err, &command):
		return &Failure{hook, command.Code, command.Error()}
	case err != nil:
		return &Failure{hook, launch.CodeCannotRun, err.Error()}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case result.Told && limited.Err() != nil:
		return &Failure{hook, result.Code, fmt.Sprintf("did not end within %s", r.Timeout)}
	case result.Told:
		return &Failure{hook, result.Code, "was told to end with the gateway"}
	case result.Code != 0:
		return &Failure{hook, result.Code, fmt.Sprintf("ended with %d", result.Code)}
	}
	return nil
}
