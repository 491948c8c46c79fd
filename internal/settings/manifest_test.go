package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
)

const manifestKey = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"

func TestAManifestIsYAMLOrJSON(t *testing.T) {
	want := Clients{
		{Name: "agent-1", Preset: "standard"},
		{Name: "viewer", Preset: "read", PublicKey: manifestKey},
		{Name: "approver", Preset: "standard", Scopes: []string{"operator.pairing", "operator.read"}},
	}
	for name, text := range map[string]string{
		"YAML": "# ours\nclients:\n  - name: agent-1\n  - {name: viewer, preset: read, publicKey: " + manifestKey + "}\n" +
			"  - name: approver\n    scopes: [operator.pairing, operator.read]\n",
		"JSON": `{"clients":[{"name":"agent-1"},{"name":"viewer","preset":"read","publicKey":"` + manifestKey + `"},` +
			`{"name":"approver","scopes":["operator.pairing","operator.read"]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := parseManifest([]byte(text))
			if len(problems) > 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v", got, problems)
			}
			if got[2].WantedScopes(gateway.Release{})[0] != "operator.pairing" {
				t.Errorf("explicit scopes do not count: %v", got[2].WantedScopes(gateway.Release{}))
			}
		})
	}
}

func TestWhatIsWrongInAManifestIsToldByPlace(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a misspelt word":       {"clients:\n  - name: a\n    presset: read\n", "line 3: field presset not found"},
		"a word at the top":     {"client: []\n", "line 1: field client not found"},
		"no list":               {"clients: agent-1\n", "line 1: cannot unmarshal !!str `agent-1`"},
		"no YAML":               {"clients: [\n", "line 1:"},
		"a name that is none":   {"clients: [{name: a b}]", `clients[0]: "a b" is not a client's name`},
		"our own device's name": {"clients: [{name: self}]", `clients[0]: "self" is the state directory's own device`},
		"a preset that is none": {"clients: [{name: a}, {name: b, preset: all}]", `clients[1]: client b: unknown preset "all"`},
		"a scope that is none":  {"clients: [{name: a, scopes: [admin]}]", `clients[0]: "admin" is not a scope`},
		"a key that is none":    {"clients: [{name: a, publicKey: short}]", "clients[0]: client a: cannot use device identity"},
		"preset beside scopes":  {"clients: [{name: a, preset: read, scopes: [operator.read]}]", "clients[0]: client a has a preset and scopes"},
		"the same word twice":   {"clients: []\nclients: []\n", "line 2: mapping key \"clients\" already defined"},
	} {
		t.Run(name, func(t *testing.T) {
			clients, problems := parseManifest([]byte(c.text))
			if got := strings.Join(problems, "; "); !strings.Contains(got, c.want) || strings.Contains(got, "settings.") {
				t.Errorf("got %q, want %q (%v)", got, c.want, clients)
			}
		})
	}
}

func TestAManifestAddsToTheClientsThatAreNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clients.yaml")
	if err := os.WriteFile(path, []byte("clients: [{name: b, preset: read}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(map[string]string{"BOOTSTRAP_CLIENTS": "a", "BOOTSTRAP_MANIFEST": path}, nil)
	if err != nil || len(s.Clients) != 2 || s.Clients[1].Preset != "read" {
		t.Errorf("got %+v, %v", s.Clients, err)
	}
	_, err = Load(map[string]string{"BOOTSTRAP_CLIENTS": "b", "BOOTSTRAP_MANIFEST": path}, nil)
	if err == nil || !strings.Contains(err.Error(), `"b" is there twice`) {
		t.Errorf("the same name twice: %v", err)
	}
	_, err = Load(map[string]string{"BOOTSTRAP_MANIFEST": path + ".missing"}, nil)
	if err == nil || !strings.Contains(err.Error(), "--manifest (BOOTSTRAP_MANIFEST)") {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("clients:\n  - name: agent-1\n    scopes: [operator.read]\n"))
	f.Add([]byte(`{"clients":[{"name":"a","publicKey":"` + manifestKey + `"}]}`))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		clients, _ := parseManifest(data)
		for _, client := range clients {
			if err := client.check(); err != nil {
				t.Errorf("taken, and wrong: %v", err)
			}
			if len(client.WantedScopes(gateway.Release{})) == 0 {
				t.Errorf("%s would be paired with no scope", client.Name)
			}
		}
	})
}
