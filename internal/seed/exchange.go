package seed

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

// exchangeNote is on disk while [jsonStore.replace] exchanges a file that a
// gateway serves. A run that is killed between the exchange and the look at what
// came out of it leaves that in the temporary file, and the note says what is new
// in it: what the gateway wrote in the meantime.
type exchangeNote struct {
	Version int `json:"version"`
	// Read and Wrote are digests of the whole file, before and after.
	Read  string `json:"read,omitempty"`
	Wrote string `json:"wrote,omitempty"`
	// Base has the digest of each entry that was read.
	Base map[string]string `json:"base,omitempty"`
	// Pending is what a gateway wrote and what the store is still to get back.
	Pending map[string]gatewayWrite `json:"pending,omitempty"`
}

// gatewayWrite is what a gateway made of one entry: Was is the digest of the one
// before, empty for a new one; Entry is nil where the gateway removed it.
type gatewayWrite struct {
	Was   string `json:"was,omitempty"`
	Entry []byte `json:"entry,omitempty"`
}

func notePath(stateDir string) string { return filepath.Join(Dir(stateDir), "exchange.json") }

// digest tells entries apart whatever their white space; where it is no JSON, by
// its bytes.
func digest(data []byte) string {
	var compact bytes.Buffer
	if json.Compact(&compact, data) == nil {
		data = compact.Bytes()
	}
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func readNote(stateDir string) (note exchangeNote, err error) {
	path := notePath(stateDir)
	data, err := atomicfile.Read(path, maxStoreSize)
	if errors.Is(err, fs.ErrNotExist) {
		return note, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &note)
	}
	if err == nil && note.Version != 1 {
		err = errors.New("its version is not 1, the one that this bootstrap knows")
	}
	if err != nil {
		return note, &StoreError{Path: path, Err: err, Fix: "to go on without it: mv " + shell.Quote(path) + " " + shell.Quote(path+".broken")}
	}
	return note, nil
}

func (n exchangeNote) write(stateDir string) error {
	n.Version = 1
	return Unusable(notePath(stateDir), atomicfile.Replace(notePath(stateDir), marshal(n)))
}

func removeNote(stateDir string) error {
	if err := os.Remove(notePath(stateDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &StoreError{Path: notePath(stateDir), Err: err}
	}
	return nil
}

// note is what is on disk before written takes the place of the content that is
// expected there.
func (s *jsonStore) note(expected *jsonContent, written []byte) exchangeNote {
	return exchangeNote{Read: digest(expected.data), Wrote: digest(written), Base: expected.digests(), Pending: s.pending}
}

// digests are those of the entries, by device id.
func (c *jsonContent) digests() map[string]string {
	out := map[string]string{}
	for _, span := range c.spans {
		out[span.key] = digest(c.data[span.start:span.end])
	}
	return out
}

// since is what a gateway has written into this content since it had the entries
// of base.
func (c *jsonContent) since(base map[string]string) map[string]gatewayWrite {
	writes := map[string]gatewayWrite{}
	for id, was := range base {
		writes[id] = gatewayWrite{Was: was}
	}
	for _, span := range c.spans {
		entry := c.data[span.start:span.end]
		if was := base[span.key]; was != digest(entry) {
			writes[span.key] = gatewayWrite{Was: was, Entry: slices.Clone(entry)}
		} else {
			delete(writes, span.key)
		}
	}
	return writes
}

// newer is what was written, where both are about one entry by the later ones.
func newer(earlier, later map[string]gatewayWrite) map[string]gatewayWrite {
	out := map[string]gatewayWrite{}
	maps.Copy(out, earlier)
	maps.Copy(out, later)
	return out
}

// due are those of the writes that the content does not have: what changed again
// since then is newer, and stays.
func (c *jsonContent) due(writes map[string]gatewayWrite) map[string]gatewayWrite {
	if len(writes) == 0 {
		return nil
	}
	now, due := c.digests(), map[string]gatewayWrite{}
	for id, write := range writes {
		is, here := now[id]
		switch {
		case write.Entry == nil && here,
			write.Entry != nil && write.Was == "" && !here,
			write.Entry != nil && write.Was != "" && is == write.Was:
			due[id] = write
		}
	}
	return due
}

// withPending is the content with what a gateway wrote that it does not have.
func (s *jsonStore) withPending(content *jsonContent) *jsonContent {
	due := content.due(s.pending)
	if len(due) == 0 {
		return content
	}
	put := map[string]Device{}
	var gone []string
	for id, write := range due {
		if write.Entry != nil {
			put[id] = Device{Name: id}
			continue
		}
		gone = append(gone, id)
	}
	out := content.without(gone...)
	out, _ = scanned(splice(out.data, out.spans, out.closing, put, func(e *entry, device Device) {
		e.object = objectOrEmpty(due[device.Name].Entry)
	}))
	return out
}

// gatewayWrites is what a gateway wrote between the reading and the exchange of a run
// that was killed; nothing where the temporary file holds what was read, or what
// was to be written.
func (s *jsonStore) gatewayWrites(note exchangeNote) (map[string]gatewayWrite, error) {
	if note.Wrote == "" {
		return nil, nil
	}
	data, err := atomicfile.Read(atomicfile.Temporary(s.path()), maxStoreSize)
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*atomicfile.NotRegularError)) {
		return nil, nil
	}
	if err != nil {
		return nil, Unusable(s.path(), err)
	}
	left, err := scanned(data)
	if whole := digest(data); err != nil || whole == note.Read || whole == note.Wrote {
		return nil, nil // what does not scan is half of what was to be written
	}
	return left.since(note.Base), nil
}

// clearLeftovers removes what a killed run left of writing our files, and first
// gives the store back what a gateway wrote that is in one of them alone.
func (s *Session) clearLeftovers() error {
	stateDir := s.options.StateDir
	files, isFiles := s.store.(*jsonStore)
	if !isFiles || files.staged {
		files, isFiles = &jsonStore{stateDir: stateDir}, false
	}
	note, err := readNote(stateDir)
	if err != nil {
		return err
	}
	writes, err := files.gatewayWrites(note)
	if err != nil {
		return err
	}
	if len(writes)+len(note.Pending) > 0 && !isFiles {
		return nil // these files have no say now: left for a person to look at
	}
	if len(writes) > 0 {
		note = exchangeNote{Pending: newer(note.Pending, writes)}
		if err := note.write(stateDir); err != nil {
			return err
		}
	}
	err = atomicfile.Clear(files.path(), stagedIn(stateDir).path(), files.identityPath(), filepath.Join(stateDir, "identity", "device-auth.json"),
		s.ledger.path, GatewayTokenPath(stateDir), notePath(stateDir))
	if err != nil {
		return &StoreError{Path: stateDir, Err: err}
	}
	if len(note.Pending) > 0 {
		if err := s.giveBack(files, note.Pending); err != nil {
			return err
		}
	}
	return removeNote(stateDir)
}

func (s *Session) giveBack(files *jsonStore, pending map[string]gatewayWrite) error {
	content, err := files.read()
	if err != nil {
		return err
	}
	due := slices.Sorted(maps.Keys(content.due(pending)))
	if len(due) == 0 {
		return nil
	}
	var lines []auditLine
	for _, id := range due {
		lines = append(lines, s.auditLine("restored", s.ledger.data.Devices[id].Name, id, nil))
	}
	if err := s.audit(lines...); err != nil {
		return err
	}
	for _, id := range due {
		s.options.Log.Warn().Str("device", short(id)).
			Msg("a run before this one was killed beside a gateway; what that gateway wrote about this device just then is in the store again")
	}
	files.pending = pending
	return files.replace(content, func(c *jsonContent) []byte { return c.data })
}
