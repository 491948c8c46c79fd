package cli_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// What root was pointed at by name, it reads before it has become the volume's
// user, for that user may not be able to. Whoever writes in the volume must not
// make it read something else.
func TestRootReadsNothingThroughALinkInAVolumeThatItWasPointedAt(t *testing.T) {
	const secret = "secret-of-roots-own"
	for name, plant := range map[string]string{
		"the file is a link":                    `ln -s "$TARGET/secret" "$AT"`,
		"the file is a hard link":               `ln "$TARGET/secret" "$AT"`,
		"its directory is a link":               `rm -r "$VOLUME/named"; ln -s "$TARGET" "$VOLUME/named"; chown -h 1000 "$VOLUME/named"; AT=$VOLUME/named/secret`,
		"a link of root's leads into a link":    `ln -s "$TARGET/secret" "$AT"; ln -s "$AT" "$TARGET/../outside"; AT=$TARGET/../outside`,
		"a link leads to another in the volume": `ln -s "$TARGET/secret" "$VOLUME/named/x"; ln -s x "$AT"`,
	} {
		for flag, command := range map[string]string{
			"--gateway-token-file": `run --gateway-token-file "$AT" -- sh -c 'echo "it is $OPENCLAW_GATEWAY_TOKEN"'`,
			"--identity-file":      `seed --identity-file "$AT"`,
			"--bridge-token-file":  `run --bridge 0.0.0.0:1 --bridge-token-file "$AT" -- true`,
			"--manifest":           `seed --manifest "$AT"`,
		} {
			t.Run(name+" "+flag, func(t *testing.T) {
				t.Parallel()
				v := newVolume(t)
				v.sh(t, `mkdir "$VOLUME/named"; chown 1000 "$VOLUME/named"; chown 0 "$TARGET"; printf '`+secret+`' >"$TARGET/secret"; chmod 600 "$TARGET/secret"`)
				code, out := v.mounted(t, `AT=$VOLUME/named/token; `+plant+`; bootstrap `+command)
				if code == 0 || strings.Contains(out, secret[:10]) {
					t.Errorf("exit %d\n%s", code, out)
				}
				if !strings.Contains(out, "link") || !strings.Contains(out, "name a file of its own") {
					t.Errorf("it is not told why, or what to do:\n%s", out)
				}
			})
		}
	}
}

func TestRootImportsNoBundleThroughALinkInAVolume(t *testing.T) {
	v := newVolume(t)
	v.sh(t, `bootstrap seed --state-dir "$TARGET/other" --client roots; chown -R 0 "$TARGET"; chmod 700 "$TARGET"
		ln -s "$TARGET/other/bootstrap/clients/roots" "$VOLUME/link"; rm -r "$VOLUME/identity" "$VOLUME/devices"`)
	if code, out := v.bootstrap(t, "identity", "import", filepath.Join(v.state, "link")); code == 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	// Where root alone decides, it is read, though the target user may not.
	code, out := v.bootstrap(t, "identity", "import", filepath.Join(v.target, "other", "bootstrap", "clients", "roots"))
	if code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestRootReadsWhatItIsPointedAtWhereNobodyCouldHaveExchangedIt(t *testing.T) {
	for name, plant := range map[string]string{
		"root's own file": `AT=$TARGET/token; printf named >"$AT"; chmod 600 "$AT"`,
		"as Kubernetes mounts a secret": `mount -t tmpfs -o mode=1777 tmpfs "$TARGET"; mkdir "$TARGET/..1"; printf named >"$TARGET/..1/token"
			ln -s ..1 "$TARGET/..data"; ln -s ..data/token "$TARGET/token"; AT=$TARGET/token`,
		"so, below another user's directory": `mkdir "$VOLUME/x"; mount -t tmpfs -o mode=1777 tmpfs "$VOLUME/x"; mkdir "$VOLUME/x/..1"; printf named >"$VOLUME/x/..1/token"
			ln -s ..1 "$VOLUME/x/..data"; ln -s ..data/token "$VOLUME/x/token"; AT=$VOLUME/x/token`,
		"a link of root's":                  `printf named >"$TARGET/real"; chmod 600 "$TARGET/real"; ln -s real "$TARGET/token"; AT=$TARGET/token`,
		"the user's own file in the volume": `printf named >"$VOLUME/token"; chown 1000 "$VOLUME/token"; chmod 600 "$VOLUME/token"; AT=$VOLUME/token`,
		"root's, which all may read":        `printf named >"$VOLUME/token"; chmod 644 "$VOLUME/token"; AT=$VOLUME/token`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVolume(t)
			v.sh(t, `chown 0 "$TARGET"`)
			code, out := v.mounted(t, plant+`; bootstrap run --gateway-token-file "$AT" -- sh -c 'echo "it is $OPENCLAW_GATEWAY_TOKEN"'`)
			if code != 0 || !strings.Contains(out, "it is named") {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
}
