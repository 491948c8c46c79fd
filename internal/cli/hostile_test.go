package cli_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/shell"
)

// Somebody else than root can write a volume; bootstrap starts as root on it.
// Whatever is planted there: nothing outside is read, written or owned anew,
// nothing inside is lost, the exit code is the right one, and the message names
// the path.

// planted are things that stand where a file or directory of ours should be.
var planted = map[string]string{
	"a link to a file":      `ln -s "$TARGET/file" "$AT"; chown -h 1000 "$AT"`,
	"a link to a directory": `ln -s "$TARGET" "$AT"; chown -h 1000 "$AT"`,
	"a link to nothing":     `ln -s "$TARGET/new" "$AT"; chown -h 1000 "$AT"`,
	"a FIFO":                `mkfifo "$AT"; chown 1000 "$AT"`,
	"a device":              `mknod "$AT" c 1 3; chown 1000 "$AT"`,
	"a hard link":           `ln "$TARGET/file" "$AT"`,
	"a directory":           `mkdir "$AT"; touch "$AT/inside"; chown -R 1000 "$AT"`,
	"a file":                `printf other >"$AT"; chown 1000 "$AT"`,
}

// place is a path that bootstrap uses, and the exit code that tells of it.
type place struct {
	path string
	code int
	// harmless names what may stand there without an end: it is never used.
	harmless []string
}

const (
	identityUnusable = 3
	storeUnusable    = 4
)

// directories and files are every path that "bootstrap seed" touches.
var (
	directories = []place{
		{"state", storeUnusable, nil}, {"devices", storeUnusable, nil}, {"identity", identityUnusable, nil},
		{"bootstrap", storeUnusable, nil}, {"bootstrap/clients", storeUnusable, nil},
		{"bootstrap/clients/a", storeUnusable, nil}, {"bootstrap/clients/a/identity", identityUnusable, nil},
	}
	files = []place{
		{"state/openclaw.sqlite", storeUnusable, nil},
		{"devices/paired.json", storeUnusable, nil},
		{"identity/device.json", identityUnusable, nil},
		{"identity/device-auth.json", storeUnusable, nil},
		{"bootstrap/ledger.json", storeUnusable, nil},
		// Appended to, so that a file of other text is none of our business.
		{"bootstrap/audit.jsonl", storeUnusable, []string{"a file"}},
		// Locked, never read.
		{"bootstrap/lock", storeUnusable, []string{"a file", "a hard link"}},
		{"bootstrap/clients/a/identity/device.json", identityUnusable, nil},
		{"bootstrap/clients/a/identity/device-auth.json", storeUnusable, nil},
		// Replaced as a whole: a file there, under however many names, may go.
		{"bootstrap/clients/a/env", storeUnusable, []string{"a file", "a hard link"}},
	}
)

func TestNothingThatIsPlantedInAVolumeIsFollowed(t *testing.T) {
	eachPlanted(t, func(t *testing.T, v volume, p place, kind string) {
		harmless := slices.Contains(p.harmless, kind)
		outside, before := tree(t, v.target), tree(t, v.state)
		code, out := v.bootstrap(t, "seed", "--client", "a", "--client", "b")
		wantKept(t, outside, tree(t, v.target))
		if len(tree(t, v.target)) != len(outside) {
			t.Error("something was made outside")
		}
		if harmless {
			if code != 0 {
				t.Errorf("exit %d\n%s", code, out)
			}
			return
		}
		if code != p.code {
			t.Errorf("exit %d, not %d\n%s", code, p.code, out)
		}
		if !strings.Contains(out, p.path) || len(hints(t, out)) == 0 {
			t.Errorf("the path is not named, or no remedy:\n%s", out)
		}
		wantPasteable(t, out, v.state)
		// Before the fault is met, the other devices may have been paired.
		wantKept(t, before, tree(t, v.state), grown...)
	})
}

// hints are the remedies in a log of JSON lines.
func hints(t *testing.T, log string) (found []string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var event struct{ Hint string }
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &event) == nil && event.Hint != "" {
			found = append(found, event.Hint)
		}
	}
	return found
}

// wantPasteable: where a hint names a path below dir, it is one word to a shell.
func wantPasteable(t *testing.T, log, dir string) {
	t.Helper()
	quoted := strings.TrimSuffix(shell.Quote(dir), "'")
	for _, hint := range hints(t, log) {
		if strings.Contains(strings.ReplaceAll(hint, quoted, ""), filepath.Base(dir)) {
			t.Errorf("this cannot be pasted: %s", hint)
		}
	}
}

// grown are files that a run may have added to before it met a fault.
var grown = []string{
	"devices/paired.json", "identity/device-auth.json", "bootstrap/ledger.json", "bootstrap/audit.jsonl",
	"bootstrap/clients/a/env", "bootstrap/clients/a/identity/device-auth.json",
}

func eachPlanted(t *testing.T, test func(t *testing.T, v volume, p place, kind string)) {
	each := func(p place, kind, script string) {
		t.Run(p.path+" is "+kind, func(t *testing.T) {
			t.Parallel()
			v := newVolume(t)
			at := filepath.Join(v.state, p.path)
			v.sh(t, `AT=`+shell.Quote(at)+`; P=$(dirname "$AT"); [ -d "$P" ] || { mkdir "$P"; chown 1000 "$P"; }
				[ ! -e "$AT" ] || mv "$AT" "$AT.moved"; `+script)
			test(t, v, p, kind)
		})
	}
	for kind, script := range planted {
		for _, p := range directories {
			if kind != "a directory" {
				each(p, kind, script)
			}
		}
		for _, p := range files {
			each(p, kind, script)
		}
	}
}

// The names of temporary files are known, so they can be planted, too: they are
// cleared, never opened.
func TestWhatIsPlantedAsATemporaryFileIsCleared(t *testing.T) {
	for kind, script := range planted {
		t.Run(kind, func(t *testing.T) {
			v := newVolume(t)
			v.sh(t, `AT="$VOLUME/devices/.paired.json.bootstrap-tmp"; `+script)
			outside := tree(t, v.target)
			code, out := v.bootstrap(t, "seed", "--client", "b")
			if want := map[bool]int{true: storeUnusable}[kind == "a directory"]; code != want {
				t.Errorf("exit %d, not %d\n%s", code, want, out)
			}
			wantKept(t, outside, tree(t, v.target))
			if code, out = v.bootstrap(t, "seed"); code != 0 {
				t.Errorf("afterwards exit %d\n%s", code, out)
			}
		})
	}
}

// The files that SQLite keeps beside a database are opened by SQLite, which
// would follow a link.
func TestALinkBesideADatabaseIsNotFollowed(t *testing.T) {
	for _, suffix := range []string{"-wal", "-shm"} {
		t.Run(suffix, func(t *testing.T) {
			v := newVolume(t)
			v.sh(t, `mkdir "$VOLUME/state"`)
			db, err := sql.Open("sqlite", filepath.Join(v.state, "state", "openclaw.sqlite"))
			if err == nil {
				_, err = db.Exec("CREATE TABLE any_table (x); PRAGMA user_version = 18")
			}
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			v.sh(t, `ln -s "$TARGET/file" "$VOLUME/state/openclaw.sqlite`+suffix+`"; chown -hR 1000 "$VOLUME/state"`)
			outside := tree(t, v.target)
			if code, out := v.bootstrap(t, "seed"); code != storeUnusable || !strings.Contains(out, "not a regular file") {
				t.Errorf("exit %d\n%s", code, out)
			}
			wantKept(t, outside, tree(t, v.target))
		})
	}
}

// A file of its own that is mounted over the store cannot be replaced.
func TestAFileMountedOverTheStoreIsRefusedWithTheRemedy(t *testing.T) {
	v := newVolume(t)
	before := tree(t, v.state)
	code, out := v.mounted(t, `cp -p "$VOLUME/devices/paired.json" "$TARGET/mounted"
		mount --bind "$TARGET/mounted" "$VOLUME/devices/paired.json"
		bootstrap seed --client b; code=$?
		cmp "$TARGET/mounted" "$VOLUME/devices/paired.json" || code=99; exit $code`)
	if code != storeUnusable || !strings.Contains(out, "mount the directory around it instead") {
		t.Errorf("exit %d\n%s", code, out)
	}
	wantKept(t, before, tree(t, v.state), "bootstrap/audit.jsonl")
}

// eachShortage runs a command on a copy of a seeded volume in a tmpfs that has
// room for n more blocks, or inodes, and once more when there is room enough.
func eachShortage(t *testing.T, what string, most int, limit string) {
	t.Helper()
	refused := 0
	for n := range most {
		v := newVolume(t)
		before := tree(t, v.state)
		code, out := v.mounted(t, fmt.Sprintf(`set -e
			mount -t tmpfs -o size=1m tmpfs "$TARGET"; cp -a "$VOLUME/." "$TARGET/"; chown 1000:1000 "$TARGET"
			mount -o "remount,%s" "$TARGET"
			code=0; bootstrap seed --state-dir "$TARGET" --client b || code=$?
			cp -a "$TARGET" "$VOLUME.short"
			mount -o remount,size=1m,nr_inodes=1000 "$TARGET"
			bootstrap seed --state-dir "$TARGET" --client b >"$VOLUME.log" 2>&1 || { cat "$VOLUME.log"; code=98; }
			cp -a "$TARGET" "$VOLUME.enough"
			exit $code`, fmt.Sprintf(limit, n)))
		if code == 0 {
			if refused == 0 {
				t.Error("there was always room: this shows nothing")
			}
			return
		}
		refused++
		if (code != storeUnusable && code != identityUnusable) || !strings.Contains(out, "the volume is full") {
			t.Errorf("with %d %s more: exit %d\n%s", n, what, code, out)
		}
		wantKept(t, before, tree(t, v.state+".short"), append(grown, ".")...)
		wantWholeFiles(t, v.state+".short")
		for _, kept := range []string{"identity/device.json", "bootstrap/clients/a/identity/device.json", "bootstrap/clients/a/env"} {
			if tree(t, v.state+".enough")[kept] != before[kept] {
				t.Errorf("with %d %s more: %s is another one", n, what, kept)
			}
		}
	}
	t.Errorf("it needs more than %d %s", most, what)
}

// wantWholeFiles: no JSON file ends within a value, and no temporary one stays.
func wantWholeFiles(t *testing.T, directory string) {
	t.Helper()
	for name, text := range tree(t, directory) {
		if strings.HasSuffix(name, ".json") && !strings.HasSuffix(strings.TrimSpace(text), "}") {
			t.Errorf("torn: %s", name)
		}
		if strings.HasSuffix(name, "-tmp") {
			t.Errorf("left behind: %s", name)
		}
	}
}

func TestAFullVolumeLosesNothingAtAnyWrite(t *testing.T) {
	eachShortage(t, "blocks", 16, `size=$(( ($(df --output=used -k "$TARGET" | tail -n 1) + 4 * %d) * 1024 ))`)
}

func TestAVolumeWithoutInodesLosesNothingAtAnyWrite(t *testing.T) {
	eachShortage(t, "inodes", 16, `nr_inodes=$(( $(df --output=iused "$TARGET" | tail -n 1) + %d ))`)
}

func TestAReadOnlyVolume(t *testing.T) {
	// The volume's owner has to find the gateway, too.
	const readOnly = `mkdir "$TARGET/bin"; printf '#!/bin/sh\necho started\n' >"$TARGET/bin/openclaw"; chmod 755 "$TARGET/bin/openclaw"
		PATH="$TARGET/bin:$PATH"; export OPENCLAW_GATEWAY_TOKEN=any; mount --bind "$VOLUME" "$VOLUME"; mount -o remount,bind,ro "$VOLUME"; `
	for _, c := range []struct {
		name, command string
		code          int
		says          string
	}{
		{"is not seeded", "bootstrap seed --client b", storeUnusable, "mount the volume read-write"},
		{"does not keep a gateway that is paired from starting", "bootstrap run --client a -- openclaw gateway", 0, "started"},
		{"keeps one that is not", "bootstrap run --client b -- openclaw gateway", storeUnusable, "mount the volume read-write"},
		{"can be looked at", "bootstrap status", 0, "self"},
		{"is told of", "bootstrap status", 0, "the state directory is mounted read-only here"},
	} {
		for _, owner := range []string{"0", "1000"} {
			t.Run("of "+owner+" "+c.name, func(t *testing.T) {
				v := newVolume(t)
				v.sh(t, `chown -R `+owner+` "$VOLUME"`)
				before := tree(t, v.state)
				code, out := v.mounted(t, readOnly+c.command)
				if code != c.code || !strings.Contains(out, c.says) {
					t.Errorf("exit %d, not %d, or not %q\n%s", code, c.code, c.says, out)
				}
				wantKept(t, before, tree(t, v.state))
			})
		}
	}
}

// As after one run by root without its rights dropped, or a backup that was
// unpacked by somebody else.
func TestWhatBelongsToSomebodyElseIsNamedWithTheCommandThatMendsIt(t *testing.T) {
	for _, path := range []string{
		"devices", "devices/paired.json", "identity", "identity/device.json", "identity/device-auth.json",
		"bootstrap", "bootstrap/ledger.json", "bootstrap/audit.jsonl", "bootstrap/lock",
		"bootstrap/clients", "bootstrap/clients/a",
	} {
		for _, owner := range []int{0, 1001} {
			t.Run(fmt.Sprintf("%s of %d", path, owner), func(t *testing.T) {
				t.Parallel()
				v := newVolume(t)
				v.sh(t, fmt.Sprintf(`chown -R %d "$VOLUME/%s"; chmod -R go-rwx "$VOLUME/%s"`, owner, path, path))
				before := tree(t, v.state)
				code, out := v.bootstrap(t, "seed", "--client", "a", "--client", "b")
				if code != storeUnusable && code != identityUnusable {
					t.Errorf("exit %d\n%s", code, out)
				}
				if !strings.Contains(out, fmt.Sprintf("belongs to uid %d", owner)) || !strings.Contains(strings.Join(hints(t, out), "\n"), "as root: chown -R 1000:1000 "+strings.TrimSuffix(shell.Quote(v.state), "'")) {
					t.Errorf("the remedy is not told:\n%s", out)
				}
				wantKept(t, before, tree(t, v.state), grown...)
			})
		}
	}
}

func TestWhateverTheUmaskOnlyTheOwnerCanReadAndTheOwnerCan(t *testing.T) {
	for _, umask := range []string{"0", "077"} {
		t.Run(umask, func(t *testing.T) {
			v := newVolume(t)
			v.sh(t, `rm -r "$VOLUME"; mkdir -m 700 "$VOLUME"; chown 1000:1000 "$VOLUME"; umask `+umask+`; bootstrap seed --client a; bootstrap seed --client b`)
			for name, text := range tree(t, v.state) {
				mode := strings.Fields(text)[0]
				if mode != "drwx------" && mode != "-rw-------" {
					t.Errorf("%s has mode %s", name, mode)
				}
			}
		})
	}
}

// Secrets are not in what a refusal says, whatever is in the file.
func TestARefusalNeverQuotesAFile(t *testing.T) {
	const secret = "a-secret-that-must-not-be-told"
	for _, p := range files {
		t.Run(p.path, func(t *testing.T) {
			v := newVolume(t)
			v.sh(t, `mkdir -p "$VOLUME/state"; printf '%s' '{"tokens": {"operator": "`+secret+`"' >"$VOLUME/`+p.path+`"; chown -R 1000 "$VOLUME"`)
			code, out := v.bootstrap(t, "seed", "--client", "a")
			if strings.Contains(out, secret) {
				t.Error("it is told")
			}
			if harmless := slices.Contains(p.harmless, "a file"); !harmless && code != p.code || harmless && code != 0 {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
}

// The temporary directory is everybody's: what another user has put there first
// must not keep a gateway from starting.
func TestAReadyFileThatAnotherUserHasMadeIsPassedOver(t *testing.T) {
	for name, plant := range map[string]string{
		"nothing":         ``,
		"the file":        `touch "$TARGET/bootstrap.ready"`,
		"its directory":   `mkdir -m 777 "$TARGET/bootstrap-1000"`,
		"a link for that": `ln -s / "$TARGET/bootstrap-1000"`,
		"both":            `touch "$TARGET/bootstrap.ready"; mkdir -m 777 "$TARGET/bootstrap-1000"; touch "$TARGET/bootstrap-1000/bootstrap.ready"`,
	} {
		t.Run(name, func(t *testing.T) {
			v := newVolume(t)
			code, out := v.run(t, exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-u", "-c", plant+`
				chown -hR 1001 "$TARGET"; chown 0 "$TARGET"; chmod 1777 "$TARGET"; export TMPDIR="$TARGET"
				exec setpriv --reuid 1000 --regid 1000 --clear-groups bootstrap run -- sh -c 'echo started'`))
			if code != 0 || !strings.Contains(out, "started") {
				t.Errorf("exit %d\n%s", code, out)
			}
			if warned := strings.Contains(out, "there is no ready file"); warned != strings.Contains(plant, "bootstrap-1000") {
				t.Errorf("warned: %v\n%s", warned, out)
			}
		})
	}
}
