package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The tests start this binary again as a helper process: as the program that
// hands over, and as the command it hands over to.
const helperPrefix = "helper:"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], helperPrefix) {
		os.Exit(helper(strings.TrimPrefix(os.Args[1], helperPrefix), os.Args[2:]))
	}
	// Under -race every helper would sleep for a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	// Whoever runs the tests under nohup has HUP ignored, which would be handed on
	// to the helpers; a signal that is caught is reset for them.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	goleak.VerifyTestMain(m)
}

func helper(mode string, args []string) int {
	switch mode {
	case "exec":
		return failed(Exec(args[0], args, os.Environ()))
	case "supervise":
		return supervise(Options{Command: args[0], Argv: args, Env: os.Environ()})
	case "supervise-usr1":
		return supervise(Options{Command: args[0], Argv: args, Env: os.Environ(), RestartSignal: syscall.SIGUSR1})
	case "supervise-usr2":
		return supervise(Options{Command: args[0], Argv: args, Env: os.Environ(), RestartSignal: syscall.SIGUSR2})
	case "supervise-timeout":
		return supervise(Options{Command: args[0], Argv: args, Env: os.Environ(), StopTimeout: 1})
	case "supervise-starved-files", "supervise-starved-processes":
		return superviseStarved(mode, args)
	case "supervise-talking":
		process, err := start(Options{Command: args[0], Argv: args, Env: os.Environ()})
		if err != nil {
			return failed(err)
		}
		fmt.Println("supervisor speaks")
		return process.Run().Code
	case "job":
		return runsJobs(args)
	case "supervise-stop":
		return superviseAndStop(args)
	case "term-before-start", "term-before-run":
		return superviseLate(mode, args)
	case "rounds":
		return superviseRounds(args)
	case "exit":
		code, _ := strconv.Atoi(args[0])
		return code
	case "die":
		number, _ := strconv.Atoi(args[0])
		_ = syscall.Kill(os.Getpid(), syscall.Signal(number))
		select {}
	case "dump":
		_ = json.NewEncoder(os.Stdout).Encode([][]byte{[]byte(strings.Join(os.Args, "\x00")), []byte(strings.Join(os.Environ(), "\x00"))})
		return 0
	case "signals":
		return logSignals()
	case "foreground":
		group, err := foregroundGroup()
		fmt.Println("foreground:", err == nil && group == unix.Getpgrp())
		return 0
	}
	fmt.Fprintln(os.Stderr, "no such helper:", mode)
	return 99
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "error:", err)
	if command := (*CommandError)(nil); errors.As(err, &command) {
		return command.Code
	}
	if stopped := (*StoppedError)(nil); errors.As(err, &stopped) {
		return stopped.ExitCode()
	}
	return 1
}

// start is [Start] with the signals caught here.
func start(options Options) (*Process, error) {
	options.Signals = Catch()
	return Start(options)
}

func supervise(options Options) int {
	process, err := start(options)
	if err != nil {
		return failed(err)
	}
	result := process.Run()
	if result.Killed {
		fmt.Fprintln(os.Stderr, "killed")
	}
	return result.Code
}

// superviseStarved has nothing left that a child would need.
func superviseStarved(mode string, args []string) int {
	resource, limit := unix.RLIMIT_NOFILE, unix.Rlimit{Cur: 3, Max: 3}
	if mode == "supervise-starved-processes" {
		resource, limit = unix.RLIMIT_NPROC, unix.Rlimit{Cur: 1, Max: 1}
		if err := syscall.Setresuid(61235, 61235, 61235); err != nil {
			return failed(err)
		}
	}
	reserveThreads() // or the Go runtime is what fails
	if err := unix.Setrlimit(resource, &limit); err != nil {
		return failed(err)
	}
	return supervise(Options{Command: args[0], Argv: args, Env: os.Environ()})
}

// superviseAndStop calls Stop from another goroutine when the child says so,
// and again after its end.
func superviseAndStop(args []string) int {
	process, err := start(Options{Command: args[0], Argv: args, Env: os.Environ()})
	if err != nil {
		return failed(err)
	}
	go process.Stop(syscall.SIGTERM)
	result := process.Run()
	process.Stop(syscall.SIGTERM)
	process.Stop(syscall.SIGTERM)
	return result.Code
}

func superviseLate(mode string, args []string) int {
	signals := Catch()
	term := func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		for len(signals.forward) == 0 {
			runtime.Gosched()
		}
	}
	if mode == "term-before-start" {
		term()
	}
	process, err := Start(Options{Command: args[0], Argv: args, Env: os.Environ(), Signals: signals})
	if err != nil {
		return failed(err)
	}
	term()
	return process.Run().Code
}

// report of many children supervised one after the other.
type report struct {
	Lost    []string // exit codes that were not what the child ended with
	Orphans int
	Mallocs uint64 // most in one Run
	PID     int
}

// superviseRounds takes rounds and orphans per round.
func superviseRounds(args []string) int {
	rounds, _ := strconv.Atoi(args[0])
	script := `i=0; while [ $i -lt ` + args[1] + ` ]; do (sleep 0.0$((i%4)) &); i=$((i+1)); done; exit $1`
	sum, signals := report{PID: os.Getpid()}, Catch()
	for round := range rounds {
		code := round % 256
		process, err := Start(Options{
			Command: "/bin/sh", Env: os.Environ(), Signals: signals,
			Argv: []string{"sh", "-c", script, "sh", strconv.Itoa(code)},
		})
		if err != nil {
			return failed(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		result := process.Run()
		runtime.ReadMemStats(&after)
		sum.Mallocs = max(sum.Mallocs, after.Mallocs-before.Mallocs)
		sum.Orphans += result.Orphans
		if result.Code != code {
			sum.Lost = append(sum.Lost, fmt.Sprintf("round %d: %+v", round, result))
		}
	}
	// Those that outlived the last child.
	for {
		_, err := syscall.Wait4(-1, nil, 0, nil)
		if err == syscall.ECHILD {
			break
		}
		if err == nil {
			sum.Orphans++
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(sum)
	return 0
}

// logSignals writes each signal it gets as a line, until stdin ends; a line on
// stdin is echoed. TSTP keeps its default.
func logSignals() int {
	caught := make(chan os.Signal, 64)
	signal.Notify(caught, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1,
		syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGPIPE, syscall.SIGURG, syscall.SIGCHLD)
	input := make(chan string)
	go func() {
		defer close(input)
		buffer := make([]byte, 256)
		for {
			n, err := syscall.Read(stdin, buffer)
			if err == syscall.EINTR {
				continue
			}
			if err != nil || n <= 0 {
				return
			}
			input <- string(buffer[:n])
		}
	}()
	fmt.Println("ready")
	for {
		select {
		case sig := <-caught:
			if sig != syscall.SIGURG { // our own scheduler's
				fmt.Println(unix.SignalName(sig.(syscall.Signal)))
			}
		case text, ok := <-input:
			if !ok {
				return 0
			}
			fmt.Print("read ", text)
		}
	}
}
