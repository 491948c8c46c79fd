// Command attacker is what scripts/attack cannot do in shell: a hostile gateway, a
// proxy that adds a header, swaps of two paths, crowds of connections, a hostile
// database, and a limit on what a command may use. It is no part of the program
// that is shipped.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite"

	"github.com/reflectt/bootstrap/internal/protocol"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	modes := map[string]struct {
		words int
		do    func(context.Context, []string) error
	}{
		"gateway":  {3, gateway},
		"proxy":    {3, proxy},
		"swap":     {3, swap},
		"idle":     {3, idle},
		"limit":    {3, limit},
		"ask":      {3, ask},
		"hold":     {4, hold},
		"database": {2, database},
		"touch":    {1, func(_ context.Context, args []string) error { return touch(args[0]) }},
	}
	if len(os.Args) < 2 || len(os.Args)-2 < modes[os.Args[1]].words || modes[os.Args[1]].do == nil {
		fmt.Fprintln(os.Stderr, "usage: see scripts/attack")
		os.Exit(2)
	}
	if err := modes[os.Args[1]].do(ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "attacker:", err)
		os.Exit(1)
	}
}

func touch(path string) error { return os.WriteFile(path, nil, 0o644) }

// serve answers at ADDRESS until the context ends, and says in a file READY, that
// it listens.
func serve(ctx context.Context, address, ready string, handler http.Handler) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if err := touch(ready); err != nil {
		return err
	}
	server := &http.Server{Handler: handler}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// gateway ADDRESS LOG TOKEN lets everybody in with that device token, and writes
// down every frame that it is sent.
func gateway(ctx context.Context, args []string) error {
	log, err := os.OpenFile(args[1], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return serve(ctx, args[0], args[1]+".ready", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		say := func(frame any) {
			text, _ := json.Marshal(frame)
			_ = ws.Write(r.Context(), websocket.MessageText, text)
		}
		say(map[string]any{"type": "event", "event": "connect.challenge", "payload": map[string]any{"nonce": "n", "ts": time.Now().UnixMilli()}})
		for {
			_, data, err := ws.Read(r.Context())
			if err != nil {
				return
			}
			_, _ = log.Write(append(data, '\n'))
			var asked struct {
				ID     string
				Params struct{ Scopes json.RawMessage }
			}
			_ = json.Unmarshal(data, &asked)
			scopes := asked.Params.Scopes
			if scopes == nil {
				scopes = json.RawMessage("[]")
			}
			say(map[string]any{"type": "res", "id": asked.ID, "ok": true, "payload": map[string]any{
				"type": "hello-ok", "protocol": 4, "server": map[string]any{"version": "2026.9.6"},
				"auth": map[string]any{"role": "operator", "scopes": scopes, "deviceToken": args[2]},
			}})
		}
	}))
}

// proxy ADDRESS URL READY passes on what comes, with the Authorization header of
// $BEARER: clients of ours have no way to send one.
func proxy(ctx context.Context, args []string) error {
	target, err := url.Parse(args[1])
	if err != nil {
		return err
	}
	return serve(ctx, args[0], args[2], &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Set("Authorization", "Bearer "+os.Getenv("BEARER"))
	}})
}

const enoughSwaps = 10_000

// swap ONE OTHER COUNT exchanges two paths as fast as it can. After 10,000 rounds it
// makes a file COUNT.enough; when there is a file COUNT.stop it writes down how often it
// did, and ends. Without OTHER it moves ONE there and back.
func swap(ctx context.Context, args []string) error {
	rounds, flags := 0, uint(unix.RENAME_EXCHANGE)
	if _, err := os.Lstat(args[1]); err != nil {
		flags = unix.RENAME_NOREPLACE
	}
	for ; ; rounds++ {
		if _, err := os.Lstat(args[2] + ".stop"); err == nil || ctx.Err() != nil {
			break
		}
		from, to := args[0], args[1]
		if flags == unix.RENAME_NOREPLACE && rounds%2 == 1 {
			from, to = to, from
		}
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EEXIST) {
			return err
		}
		if rounds == enoughSwaps {
			if err := touch(args[2] + ".enough"); err != nil {
				return err
			}
		}
		time.Sleep(50 * time.Microsecond) // let the other one see each state
	}
	return os.WriteFile(args[2], []byte(strconv.Itoa(rounds)), 0o644)
}

// idle ADDRESS N READY [REQUEST] opens N connections, sends each the request, and
// holds them, whatever is answered.
func idle(ctx context.Context, args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	opened := 0
	for range n {
		conn, err := net.DialTimeout("tcp", args[0], time.Second)
		if err != nil {
			continue
		}
		opened++
		defer func() { _ = conn.Close() }()
		if len(args) > 3 {
			_, _ = conn.Write([]byte(args[3]))
		}
	}
	if err := touch(args[2]); err != nil {
		return err
	}
	fmt.Println(opened, "opened")
	<-ctx.Done()
	return nil
}

// ask URL NAME N connects as NAME1, NAME2 and so on to a bridge, without a device,
// and fails where none is let in.
func ask(ctx context.Context, args []string) error {
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	in := 0
	for i := range n {
		conn, err := protocol.Dial(ctx, protocol.DialOptions{URL: fmt.Sprintf("%s/%s%d", args[0], args[1], i)})
		if err != nil {
			continue
		}
		_, err = protocol.Handshake(ctx, conn, protocol.ConnectRequest{ClientID: "cli", ClientMode: "cli", Role: "operator", Scopes: []string{"operator.read"}})
		conn.CloseNow()
		if err == nil {
			in++
		}
	}
	fmt.Println(in, "let in")
	if in == 0 {
		return errors.New("nobody was let in")
	}
	return nil
}

// hold NETWORK ADDRESS SECONDS REQUEST sends the request, writes what is answered,
// and fails where the other side has not hung up by then.
func hold(_ context.Context, args []string) error {
	conn, err := net.Dial(args[0], args[1])
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(args[2])
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(time.Duration(seconds) * time.Second))
	}
	if err == nil {
		_, _ = conn.Write([]byte(args[3]))
		_, err = io.Copy(os.Stdout, conn)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("it is still open")
	}
	return nil
}

// limit CPUSECONDS MB COMMAND... fails where the command uses more than that.
func limit(ctx context.Context, args []string) error {
	seconds, errSeconds := strconv.ParseUint(args[0], 10, 32)
	most, errMost := strconv.ParseInt(args[1], 10, 32)
	if err := errors.Join(errSeconds, errMost); err != nil {
		return err
	}
	// Beyond both it would be ended: a machine must survive the attack.
	limits := map[int]uint64{unix.RLIMIT_CPU: seconds + 1, unix.RLIMIT_AS: 6 << 30}
	for resource, value := range limits {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return err
		}
	}
	// Waiting without computing is as bad, and takes no CPU.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[2], args[3:]...) //nolint:forbidigo // no part of the program
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	_ = cmd.Run()
	if cmd.ProcessState == nil {
		return errors.New("it did not start")
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("used %.1f s of CPU and %d MB\n", cpu.Seconds(), usage.Maxrss>>10)
	switch {
	case ctx.Err() != nil:
		return errors.New("it did not end within a minute")
	case cpu > time.Duration(seconds)*time.Second:
		return errors.New("too much CPU")
	case usage.Maxrss>>10 > most:
		return errors.New("too much memory")
	case cmd.ProcessState.ExitCode() == 2 || cmd.ProcessState.ExitCode() == -1:
		return fmt.Errorf("it ended by %v", cmd.ProcessState)
	}
	return nil
}

// database FILE STATEMENT... runs the statements in it.
func database(ctx context.Context, args []string) error {
	db, err := sql.Open("sqlite", args[0])
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	for _, statement := range args[1:] {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return nil
}
