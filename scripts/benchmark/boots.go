package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

//go:embed first-boot.js
var firstBootScript string

//go:embed later-boot.js
var laterBootScript string

// rounds is how often each boot is measured, each time bare, by bootstrap and
// by node, one after another, so that all three see the same machine.
const rounds = 60

// boot is one kind of start.
type boot struct {
	name     string
	stateDir string
	script   string
	fresh    bool // the state directory is emptied before each start
	// log is what a gateway left in the database's -wal; each start finds it.
	log []byte
}

func (b *bench) boots(ctx context.Context) error {
	reader, err := b.trivialGateway(fileRelease)
	if err != nil {
		return err
	}
	gateway, err := b.trivialGateway(b.release)
	if err != nil {
		return err
	}
	if _, err := os.Stat(b.migrated()); errors.Is(err, fs.ErrNotExist) { // this step alone
		_, _, done, err := b.provenGateway(ctx)
		if err != nil {
			return err
		}
		done()
	}
	// A seeded directory that no gateway has opened yet.
	files := filepath.Join(b.work, "files")
	if _, err := timed(ctx, b.bootEnv(files), b.bootArgv(reader)...); err != nil {
		return err
	}
	b.table.section("time added before exec")
	if err := b.floor(ctx); err != nil {
		return err
	}
	log, err := os.ReadFile(b.migratedLog())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	kinds := []boot{
		{name: "first boot, empty state", stateDir: filepath.Join(b.work, "empty"), script: firstBootScript, fresh: true},
		{name: "later boots, JSON files", stateDir: files, script: laterBootScript},
	}
	if len(log) > 0 { // first, for node folds it into the database
		name := fmt.Sprintf("later boots, database with the -wal of %d bytes left behind", len(log))
		kinds = append(kinds, boot{name: name, stateDir: b.migrated(), script: laterBootScript, log: log})
	}
	kinds = append(kinds, boot{name: "later boots, database of " + b.release, stateDir: b.migrated(), script: laterBootScript})
	for _, boot := range kinds {
		installed := reader
		if boot.stateDir == b.migrated() {
			installed = gateway
		}
		if err := b.boot(ctx, boot, installed); err != nil {
			return fmt.Errorf("%s: %w", boot.name, err)
		}
	}
	return nil
}

// floor is what the shortest of all runs takes: no other can be quicker.
func (b *bench) floor(ctx context.Context) error {
	var took []time.Duration
	for range rounds / 3 {
		one, err := timed(ctx, b.environ(b.work), b.program, "version")
		if err != nil {
			return err
		}
		took = append(took, one)
	}
	b.table.add(row{what: "(bootstrap version, all of it)", ours: milliseconds(median(took))})
	return nil
}

// fileRelease is one that reads pairing files; later ones read none.
const fileRelease = "2026.5.28"

// trivialGateway installs a package that is understood as the gateway, with a
// release, and ends at once.
func (b *bench) trivialGateway(release string) (path string, err error) {
	end, found := look("true")
	if !found {
		return "", fmt.Errorf("true is missing")
	}
	program, err := os.ReadFile(end)
	if err != nil {
		return "", err
	}
	directory := filepath.Join(b.work, release, "node_modules", "openclaw")
	path = filepath.Join(directory, "openclaw.mjs")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", err
	}
	manifest := fmt.Sprintf(`{"name": "openclaw", "version": %q}`, release)
	if err := os.WriteFile(filepath.Join(directory, "package.json"), []byte(manifest), 0o600); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, program, 0o700)
}

func (b *bench) bootEnv(stateDir string) []string {
	return b.environ(stateDir, "OPENCLAW_GATEWAY_TOKEN=measured")
}

func (b *bench) bootArgv(gateway string) []string {
	return append([]string{b.program, "run", "--handover=exec", "--"}, gatewayArgv(gateway)...)
}

func gatewayArgv(gateway string) []string { return []string{gateway, "gateway", "--port", "39490"} }

// boot measures one kind of start.
func (b *bench) boot(ctx context.Context, boot boot, gateway string) error {
	env := b.bootEnv(boot.stateDir)
	bare := gatewayArgv(gateway)
	limit := append([]string{b.limit, map[bool]string{true: "first", false: "later"}[boot.fresh]}, bare...)
	variants := [][]string{bare, b.bootArgv(gateway), append([]string{b.node, "-e", boot.script}, bare...), limit}
	took := make([][]time.Duration, len(variants))
	syncs := make([]int, len(variants))
	var diskSyncs []time.Duration

	prepare := func() error {
		if boot.fresh {
			// An empty volume: that there is a directory is not ours to sync.
			return errors.Join(os.RemoveAll(boot.stateDir), os.Mkdir(boot.stateDir, 0o700))
		}
		if len(boot.log) > 0 {
			return os.WriteFile(b.migratedLog(), boot.log, 0o600)
		}
		return nil
	}
	for i := range rounds + 1 {
		for v, argv := range variants {
			if err := prepare(); err != nil {
				return err
			}
			one, err := timed(ctx, env, argv...)
			if err != nil {
				return err
			}
			if i > 0 { // the first round warms up
				took[v] = append(took[v], one)
			}
		}
		one, err := diskSync(b.work)
		if err != nil {
			return err
		}
		diskSyncs = append(diskSyncs, one)
	}
	for v, argv := range variants {
		if err := prepare(); err != nil {
			return err
		}
		var err error
		if syncs[v], err = b.countSyncs(ctx, env, argv...); err != nil {
			return err
		}
	}
	alone := median(took[0])
	ours, node, least := median(took[1])-alone, median(took[2])-alone, median(took[3])-alone
	b.tellBoot(boot, ours, node, syncs, median(diskSyncs))
	b.table.add(row{
		what: "  against the same reads and writes alone", ours: milliseconds(ours), against: "limit " + milliseconds(least),
		ratio: ratio(float64(ours), float64(least)),
	})
	b.table.add(row{what: "  fsyncs of that", against: count(syncs[3])})
	if boot.fresh || len(boot.log) > 0 {
		return nil
	}
	return b.tellInstructions(ctx, boot, env, gateway)
}

// migratedLog is the -wal of the database that the real gateway leaves.
func (b *bench) migratedLog() string {
	return filepath.Join(b.migrated(), "state", "openclaw.sqlite-wal")
}

const (
	startAllowance = 5 * time.Millisecond
	nodeAllowance  = 0.2
	firstSyncs     = 10 // of a first boot
	// laterInstructions are those of a later boot with files, in millions.
	laterInstructions = 8
)

var collectedLine = regexp.MustCompile(`Collected : (\d+)`)

// tellInstructions counts them by callgrind, which dumps nothing at exec: the
// gateway of that start cannot be executed. Signals of Go's scheduler can end
// callgrind, so that it is tried again.
func (b *bench) tellInstructions(ctx context.Context, boot boot, env []string, gateway string) error {
	what := "  instructions in user mode"
	valgrind, found := look("valgrind")
	if !found {
		b.table.add(row{what: what, ours: "no valgrind"})
		return nil
	}
	directory := filepath.Join(b.work, "broken", filepath.Base(boot.stateDir), "node_modules", "openclaw")
	entry := filepath.Join(directory, "openclaw.mjs")
	if err := os.CopyFS(directory, os.DirFS(filepath.Dir(gateway))); err != nil {
		return err
	}
	if err := os.WriteFile(entry, []byte("no program"), 0o700); err != nil {
		return err
	}
	argv := append([]string{valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"}, b.bootArgv(entry)...)
	for range 5 {
		cmd := command(ctx, append(env, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"), argv...)
		out, _ := cmd.CombinedOutput() // it ends with 126
		match := collectedLine.FindSubmatch(out)
		if match == nil {
			continue
		}
		n, err := strconv.ParseFloat(string(match[1]), 64)
		if err != nil {
			return err
		}
		line := row{what: what, ours: fmt.Sprintf("%.1f M", n/1e6)}
		if boot.stateDir != b.migrated() {
			line.budget, line.over = fmt.Sprintf("%d M", laterInstructions), n/1e6 > laterInstructions
		}
		b.table.add(line)
		return nil
	}
	return errors.New("callgrind counted nothing, five times")
}

func (b *bench) tellBoot(boot boot, ours, node time.Duration, syncs []int, sync time.Duration) {
	line := row{
		what: boot.name, ours: milliseconds(ours), against: "node -e " + milliseconds(node),
		ratio: ratio(float64(ours), float64(node)),
	}
	switch {
	case !boot.fresh:
		line.budget = "0.2 of node"
		line.over = float64(ours) > nodeAllowance*float64(node)
	case syncs[1] >= 0:
		limit := time.Duration(syncs[1])*sync + startAllowance
		line.budget = fmt.Sprintf("%d × %s + 5 ms = %s", syncs[1], milliseconds(sync), milliseconds(limit))
		line.over = ours > limit
	}
	b.table.add(line)
	most := 0
	if boot.fresh {
		most = firstSyncs
	}
	b.table.add(row{
		what: fmt.Sprintf("  fsyncs (one takes %s)", milliseconds(sync)), ours: count(syncs[1]),
		against: "node -e " + count(syncs[2]), ratio: ratio(float64(syncs[1]), float64(syncs[2])),
		budget: count(most), over: syncs[1] > most,
	})
}
