package identity_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

// golden is what a gateway's own code made of the seed 00 01 … 1f.
type golden struct {
	SeedHex, PublicKeyBase64Url, DeviceID string
	PublicKeyPem, PrivateKeyPem           string
	V2, V3                                struct{ Payload, Signature string }
}

func readGolden(t testing.TB) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden-vector.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func goldenIdentity(t testing.TB) identity.Identity {
	t.Helper()
	seed, err := hex.DecodeString(readGolden(t).SeedHex)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.FromSeed(seed, time.UnixMilli(1795363690401))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestTheGoldenVectorIsMadeAndReadBack(t *testing.T) {
	g, id := readGolden(t), goldenIdentity(t)
	for what, pair := range map[string][2]string{
		"device id":   {id.DeviceID(), g.DeviceID},
		"public key":  {id.PublicKey(), g.PublicKeyBase64Url},
		"public PEM":  {id.PublicPEM(), g.PublicKeyPem},
		"private PEM": {id.PrivatePEM(), g.PrivateKeyPem},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
		}
	}
	back, err := identity.FromRecord(g.DeviceID, g.PublicKeyPem, g.PrivateKeyPem, id.CreatedAt())
	if err != nil || !back.Equal(id) {
		t.Errorf("the vector read back: %v", err)
	}
}

func TestTheGoldenPayloadsAndSignaturesAreEqual(t *testing.T) {
	g, id := readGolden(t), goldenIdentity(t)
	claim := identity.Claim{
		ClientID: "cli", ClientMode: "cli", Role: "operator",
		Scopes:   []string{"operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"},
		SignedAt: time.UnixMilli(1795363727477), Token: "gw-shared-token-0123456789abcdef",
		Nonce: "dbce3414-b7ef-4dc3-a8b2-a1bfd8f0fbf8", Platform: " Linux ",
	}
	if got := claim.V2(id.DeviceID()); got != g.V2.Payload {
		t.Errorf("v2 payload %q", got)
	}
	if got := claim.V3(id.DeviceID()); got != g.V3.Payload {
		t.Errorf("v3 payload %q", got)
	}
	if got := id.Sign(g.V2.Payload); got != g.V2.Signature {
		t.Errorf("v2 signature %q", got)
	}
	if got := id.Sign(g.V3.Payload); got != g.V3.Signature {
		t.Errorf("v3 signature %q", got)
	}
}

func TestTheFileIsTheGatewaysByteForByte(t *testing.T) {
	// As written by 2026.5.28, with the golden keys put in.
	want := `{
  "version": 1,
  "deviceId": "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c",
  "publicKeyPem": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n-----END PUBLIC KEY-----\n",
  "privateKeyPem": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n",
  "createdAtMs": 1795363690401
}
`
	if got := string(goldenIdentity(t).Marshal()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAnIdentityIsStoredOnceAndPrivately(t *testing.T) {
	path := identity.FilePath(t.TempDir())
	id := goldenIdentity(t)
	if err := id.Store(path); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, want %v (%v)", path, info.Mode(), want, err)
		}
	}
	other, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Store(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second identity was not refused: %v", err)
	}
	if back, err := identity.Load(path); err != nil || !back.Equal(id) {
		t.Errorf("the first identity is not there any more: %v", err)
	}
}

func TestWhatDoesNotHoldIsRefusedByName(t *testing.T) {
	g := readGolden(t)
	good := string(goldenIdentity(t).Marshal())
	replace := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	otherKey, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	escape := func(pem string) string { return strings.ReplaceAll(pem, "\n", `\n`) }
	for name, c := range map[string]struct{ file, fault string }{
		"empty file":                  {"", "not the JSON of an identity"},
		"cut off":                     {good[:100], "not the JSON of an identity"},
		"another version":             {replace(`"version": 1`, `"version": 2`), "version is 2"},
		"no version":                  {replace(`"version": 1,`, ``), "version is 0"},
		"device id of something else": {replace(g.DeviceID, strings.Repeat("0", 64)), "deviceId is not the SHA-256 of the public key"},
		"device id in capitals":       {replace(g.DeviceID, strings.ToUpper(g.DeviceID)), "deviceId is not"},
		"keys that do not match":      {replace(escape(g.PublicKeyPem), escape(otherKey.PublicPEM())), "the public key does not belong to the private key"},
		"private key no PEM":          {replace("-----BEGIN PRIVATE", "-----begin PRIVATE"), "the private key is not PEM"},
		"public key in its place":     {replace(escape(g.PrivateKeyPem), escape(g.PublicKeyPem)), `not "PRIVATE KEY"`},
		"something after the key":     {replace(`PRIVATE KEY-----\n"`, `PRIVATE KEY-----\nmore"`), "something after the private key"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "device.json")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := identity.Load(path)
			var fault *identity.Error
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.fault) || fault.Path != path {
				t.Errorf("got %v, want a fault with %q", err, c.fault)
			}
			if after, _ := os.ReadFile(path); string(after) != c.file {
				t.Errorf("the file was changed")
			}
			if err != nil && strings.Contains(err.Error(), "MC4CAQAw") {
				t.Errorf("the error shows key material: %v", err)
			}
		})
	}
}

func TestPrivateKeysAreReadInEveryFormPeopleKeepThem(t *testing.T) {
	g, id := readGolden(t), goldenIdentity(t)
	for name, text := range map[string]string{
		"PEM":                  g.PrivateKeyPem,
		"PEM with line feeds":  "\n" + g.PrivateKeyPem + "\n\n",
		"seed in hex":          g.SeedHex + "\n",
		"seed in capitals":     strings.ToUpper(g.SeedHex),
		"seed in base64":       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"seed without padding": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := identity.Parse(text, time.Now())
			if err != nil || !got.Equal(id) {
				t.Errorf("%v", err)
			}
		})
	}
	for name, text := range map[string]string{
		"nothing": "", "a word": "secret", "a short seed": g.SeedHex[2:], "an RSA key": "-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----\n",
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if _, err := identity.Parse(text, time.Now()); !errors.As(err, new(*identity.Error)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(goldenIdentity(f).Marshal())
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		id, err := identity.Unmarshal(data)
		if err != nil {
			return
		}
		// What is accepted is whole: it survives being written and read.
		back, err := identity.Unmarshal(id.Marshal())
		if err != nil || !back.Equal(id) || back.DeviceID() != id.DeviceID() {
			t.Errorf("an accepted identity does not survive: %v", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	g := readGolden(f)
	f.Add(g.PrivateKeyPem)
	f.Add(g.SeedHex)
	f.Add(g.PublicKeyBase64Url)
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := identity.Parse(text, time.Now()); err == nil && len(id.PublicKey()) != 43 {
			t.Errorf("a key without a public half")
		}
		if key, err := identity.ParsePublicKey(text); err == nil && len(key) != 32 {
			t.Errorf("a public key of %d bytes", len(key))
		}
	})
}
