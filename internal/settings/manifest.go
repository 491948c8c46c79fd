package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/seed"
)

// manifest is the file that --manifest names: YAML, of which JSON is a part.
//
//	clients:
//	  - name: agent-1
//	  - name: viewer
//	    preset: read
//	    publicKey: A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg
//	  - name: approver
//	    scopes: [operator.pairing, operator.read]
type manifest struct {
	Clients []manifestClient `yaml:"clients"`
}

type manifestClient struct {
	Name      string   `yaml:"name"`
	Preset    string   `yaml:"preset"`
	Scopes    []string `yaml:"scopes"`
	PublicKey string   `yaml:"publicKey"`
}

// maxManifestSize bounds what is read: some 100 bytes a client.
const maxManifestSize = 4 << 20

// readManifest reads the clients of a manifest. All faults are listed at once.
func readManifest(path string) (clients Clients, problems []string) {
	data, err := atomicfile.ReadMounted(path, maxManifestSize)
	if planted := (*atomicfile.PlantedError)(nil); errors.As(err, &planted) {
		return nil, []string{err.Error() + "; " + planted.Hint()}
	}
	if err != nil {
		return nil, []string{err.Error()}
	}
	return parseManifest(data)
}

func parseManifest(data []byte) (clients Clients, problems []string) {
	var m manifest
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true) // a word that is misspelt must not be passed over
	if err := decoder.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlProblems(err)
	}
	for i, c := range m.Clients {
		client, err := c.client()
		if err != nil {
			problems = append(problems, fmt.Sprintf("clients[%d]: %v", i, err))
			continue
		}
		clients = append(clients, client)
	}
	return clients, problems
}

// yamlProblems are the parser's words, without the names of our types.
func yamlProblems(err error) (problems []string) {
	wrong := (*yaml.TypeError)(nil)
	if !errors.As(err, &wrong) {
		return []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	for _, problem := range wrong.Errors {
		what, _, _ := strings.Cut(problem, " in type ")
		what, _, _ = strings.Cut(what, " into ")
		problems = append(problems, what)
	}
	return problems
}

func (c manifestClient) client() (Client, error) {
	if c.Preset != "" && len(c.Scopes) > 0 {
		return Client{}, fmt.Errorf("client %s has a preset and scopes: keep one of them", c.Name)
	}
	client := Client(c)
	client.Preset = cmp.Or(c.Preset, defaultPreset)
	for _, scope := range c.Scopes {
		if err := seed.CheckScope(scope); err != nil {
			return Client{}, err
		}
	}
	return client, client.check()
}
