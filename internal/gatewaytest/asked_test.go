package gatewaytest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

const saysAsking = "asking the gateway that runs on it instead"

// bootstrapBeside runs a command beside the gateway, with its token.
func (v volume) bootstrapBeside(t *testing.T, want int, args ...string) gatewaytest.Result {
	t.Helper()
	result := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: args, Env: append(v.env(), "OPENCLAW_GATEWAY_TOKEN="+sharedToken)})
	if result.Code != want {
		t.Fatalf("bootstrap %v ended with %d\n%s%s", args, result.Code, result.Stdout, result.Stderr)
	}
	return result
}

// A gateway runs as root on a volume of somebody else, as whom bootstrap runs
// beside it: the database is root's.
func TestADatabaseOfAnotherUserIsChangedByItsGateway(t *testing.T) {
	t.Parallel()
	gatewaytest.Install(t, sqliteEra)
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can own a database and give its volume away")
	}
	v := newVolume(t, sqliteEra, gatewaytest.CopyState(t, sqliteEra))
	v.seed(t)
	const nobody = 65534
	g := v.start(t)
	g.WaitReady(t)
	chownAll(t, filepath.Join(v.state, "bootstrap"), nobody)
	if err := errors.Join(os.Chown(v.state, nobody, nobody), os.Chmod(filepath.Dir(v.state), 0o711)); err != nil {
		t.Fatal(err)
	}
	client := func(name string) []string { return []string{"--auth=device", "--state-dir", v.bundle(name)} }

	t.Run("without the gateway's token it is refused, and the token asked for", func(t *testing.T) {
		result := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: []string{"seed", "--client", "agent-1"}, Env: v.env()})
		if result.Code != 4 || !strings.Contains(result.Stderr, "OPENCLAW_GATEWAY_TOKEN") {
			t.Errorf("it ended with %d\n%s", result.Code, result.Stderr)
		}
	})
	t.Run("seed", func(t *testing.T) {
		result := v.bootstrapBeside(t, 0, "seed", "--json", "--client", "agent-1")
		var out seeded
		decode(t, result.Stdout, &out)
		out.wantOutcomes(t, "self unchanged", "agent-1 created")
		if !strings.Contains(result.Stderr, saysAsking) {
			t.Errorf("it does not say so: %s", result.Stderr)
		}
		audit := string(must(os.ReadFile(filepath.Join(v.state, "bootstrap", "audit.jsonl")))(t))
		if !strings.Contains(audit, `"via":"gateway"`) {
			t.Errorf("nor in the audit log: %s", audit)
		}
		v.wantLetIn(t, must(readIdentity(v.bundle("agent-1")))(t), standardScopes, client("agent-1")...)
		decode(t, v.bootstrapBeside(t, 0, "seed", "--json", "--client", "agent-1").Stdout, &out)
		out.wantOutcomes(t, "self unchanged", "agent-1 unchanged")
	})
	t.Run("rotate", func(t *testing.T) {
		old := t.TempDir()
		if err := os.CopyFS(old, os.DirFS(v.bundle("agent-1"))); err != nil {
			t.Fatal(err)
		}
		v.bootstrapBeside(t, 0, "seed", "rotate", "agent-1")
		v.wantLetIn(t, must(readIdentity(v.bundle("agent-1")))(t), standardScopes, client("agent-1")...)
		v.probe(t, "--auth=device", "--state-dir", old, "--wait", busy.String()).wantRefused(t, 12, "not-paired")
	})
	t.Run("join", func(t *testing.T) {
		if said := v.bootstrapBeside(t, 0, "join", "--name", "agent-2").Stderr; !strings.Contains(said, saysAsking) {
			t.Errorf("it does not say so: %s", said)
		}
		v.wantLetIn(t, must(readIdentity(v.bundle("agent-2")))(t), standardScopes, client("agent-2")...)
	})
	t.Run("revoke, and it stays out", func(t *testing.T) {
		for _, name := range []string{"agent-1", "agent-2"} {
			v.bootstrapBeside(t, 0, "seed", "revoke", name)
			v.probe(t, client(name)...).wantRefused(t, 12, "not-paired")
		}
		var out seeded
		decode(t, v.bootstrapBeside(t, 0, "seed", "--json", "--client", "agent-1").Stdout, &out)
		out.wantOutcomes(t, "self unchanged", "agent-1 revoked")
		v.bootstrapBeside(t, 12, "join", "--name", "agent-2")
		decode(t, v.bootstrapBeside(t, 0, "seed", "--json", "--client", "agent-1", "--reseed", "agent-1").Stdout, &out)
		out.wantOutcomes(t, "self unchanged", "agent-1 created")
		v.wantLetIn(t, must(readIdentity(v.bundle("agent-1")))(t), standardScopes, client("agent-1")...)
	})
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
	t.Run("whoever opens the database finds what the ledger says", func(t *testing.T) {
		chownAll(t, v.state, 0)
		v.seed(t, "--client", "agent-1", "--client", "agent-2").wantOutcomes(t, "self unchanged", "agent-1 unchanged", "agent-2 revoked")
	})
}

func chownAll(t *testing.T, dir string, uid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A lock that keeps us from writing keeps the gateway from it as well: it is
// asked, cannot either, and the command says so. Nothing is there afterwards.
func TestALockedDatabaseIsChangedByNobody(t *testing.T) {
	t.Parallel()
	v := newVolume(t, sqliteEra, gatewaytest.CopyState(t, sqliteEra))
	v.seed(t, "--client", "agent-1")
	g := v.start(t)
	g.WaitReady(t)
	db := openDatabase(t, databaseOf(v.state))
	defer func() { _ = db.Close() }()
	must(db.Exec("BEGIN IMMEDIATE"))(t)
	for _, args := range [][]string{
		{"seed", "--client", "agent-2"}, {"seed", "rotate", "agent-1"}, {"seed", "revoke", "agent-1"},
	} {
		result := v.bootstrapBeside(t, 4, args...)
		for _, said := range []string{saysAsking, "database is locked", "the gateway, asked to do it, could not either", "end it, or try again"} {
			if !strings.Contains(result.Stderr, said) {
				t.Errorf("bootstrap %v does not say %q:\n%s", args, said, result.Stderr)
			}
		}
	}
	must(db.Exec("ROLLBACK"))(t)
	v.wantLetIn(t, must(readIdentity(v.bundle("agent-1")))(t), standardScopes, "--state-dir", v.bundle("agent-1"))
	v.seed(t, "--client", "agent-2")
	v.wantLetIn(t, must(readIdentity(v.bundle("agent-2")))(t), standardScopes, "--state-dir", v.bundle("agent-2"))
}
