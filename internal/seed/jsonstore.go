package seed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/shell"
)

// jsonStore is devices/paired.json with the two files of identity/ beside it.
// Gateways up to 2026.7.35 read it at every connect; from 2026.8.1 on a
// gateway imports it at its first start.
type jsonStore struct {
	stateDir string
	// migrated is the device of a database that a newer release left here.
	migrated identity.Identity
	// live: a gateway may replace the file at any moment.
	live bool
	// reason is why the files count.
	reason string
	// suffix of the file's name, for what a migration left of it.
	suffix string
	// pending is what a gateway wrote that the file is still to get back.
	pending map[string]gatewayWrite
	// staged: the entries wait in bootstrap's own directory; see [Staged].
	staged bool
	// keyUnsynced: the identity was stored, and its name may not be on disk yet.
	keyUnsynced bool
	// last is what was read last: a store of ten thousand devices has 9 MB.
	last *jsonContent
}

// jsonContent is the file's bytes and the position of each device's entry.
type jsonContent struct {
	stamp   atomicfile.Stamp
	data    []byte
	spans   []span
	closing int
	// places is made by [jsonContent.at].
	places map[string]int
}

// maxStoreSize bounds what is read: a hundred thousand devices take some 90 MB.
const maxStoreSize = 256 << 20

// maxEntries bounds what that can become in memory: as many devices as are in a store of
// that size, of 900 bytes each.
const maxEntries = 300_000

func (s *jsonStore) kind() Kind {
	if s.staged {
		return Staged
	}
	return JSON
}

func (s *jsonStore) path() string {
	if s.staged {
		return filepath.Join(Dir(s.stateDir), "staged.json")
	}
	return filepath.Join(s.stateDir, "devices", "paired.json"+s.suffix)
}
func (s *jsonStore) why() string { return s.reason }

func (s *jsonStore) identityPath() string { return identity.FilePath(s.stateDir) }

func (s *jsonStore) close() error { return s.syncKey() }

// syncKey makes sure that the identity is on the disk, before anybody is paired by
// it. The local token beside it does so, too.
func (s *jsonStore) syncKey() error {
	if !s.keyUnsynced {
		return nil
	}
	if err := atomicfile.SyncDir(filepath.Dir(s.identityPath())); err != nil {
		return Unusable(s.path(), err)
	}
	s.keyUnsynced = false
	return nil
}

func (s *jsonStore) identity(context.Context) (identity.Identity, error) {
	id, err := identity.Load(identity.FilePath(s.stateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return s.migrated, nil
	}
	return id, err
}

func (s *jsonStore) keepIdentity(_ context.Context, id identity.Identity) (identity.Identity, error) {
	path := identity.FilePath(s.stateDir)
	kept, err := identity.Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return kept, err
	}
	err = id.StoreUnsynced(path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return identity.Identity{}, err
	}
	s.keyUnsynced = err == nil
	return identity.Load(path)
}

func (s *jsonStore) lookup(_ context.Context, ids []string) (map[string]entry, error) {
	content, err := s.read()
	if err != nil {
		return nil, err
	}
	found := map[string]entry{}
	for _, id := range ids {
		if at, here := content.at(id); here {
			found[id] = content.entry(content.spans[at])
		}
	}
	return found, nil
}

func (s *jsonStore) list(context.Context) (map[string]entry, error) {
	content, err := s.read()
	if err != nil {
		return nil, err
	}
	found := map[string]entry{}
	for _, span := range content.spans {
		found[span.key] = content.entry(span)
	}
	return found, nil
}

// imported is false: these are the files themselves.
func (s *jsonStore) imported(context.Context, string) (bool, error) { return false, nil }

// remove cuts every entry of those names out, with the commas that go with them.
func (s *jsonStore) remove(_ context.Context, deviceIDs ...string) (bool, error) {
	if len(deviceIDs) == 0 {
		return false, nil
	}
	content, err := s.read()
	if err != nil {
		return false, err
	}
	goes := setOf(deviceIDs)
	if _, there := cut(content.data, content.spans, goes); !there {
		return false, nil
	}
	return true, s.replace(content, func(c *jsonContent) []byte {
		out, _ := cut(c.data, c.spans, goes)
		return out
	})
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// at is the place among the spans of a name: of one that is there twice the last
// one counts.
func (c *jsonContent) at(name string) (place int, here bool) {
	if c.places == nil {
		c.places = make(map[string]int, len(c.spans))
		for i, span := range c.spans {
			c.places[span.key] = i
		}
	}
	place, here = c.places[name]
	return place, here
}

// without is the content less the entries of those names.
func (c *jsonContent) without(names ...string) *jsonContent {
	if len(names) == 0 {
		return c
	}
	data, removed := cut(c.data, c.spans, setOf(names))
	if !removed {
		return c
	}
	out, _ := scanned(data) // as valid as before
	return out
}

// cut returns data without the members whose names go; the others keep their bytes.
func cut(data []byte, spans []span, goes map[string]bool) (out []byte, removed bool) {
	begin := skipSpace(data, 0) + 1 // after the opening brace
	out = append(make([]byte, 0, len(data)), data[:begin]...)
	end := begin
	for i, span := range spans {
		start := end // a member brings the comma before it along
		end = span.end
		if goes[span.key] {
			removed = true
			continue
		}
		if i > 0 && len(out) == begin {
			start = skipSpace(data, start) + 1 // but the first one has none
		}
		out = append(out, data[start:end]...)
	}
	return append(out, data[end:]...), removed
}

// read returns the store's content. No file is an empty store.
func (s *jsonStore) read() (*jsonContent, error) {
	stamp, err := atomicfile.StampOf(s.path())
	if err == nil && s.last != nil && s.last.stamp == stamp {
		return s.last, nil
	}
	content := &jsonContent{stamp: stamp, data: []byte("{}")}
	if !errors.Is(err, fs.ErrNotExist) {
		content.data, err = atomicfile.Read(s.path(), maxStoreSize)
	}
	if errors.Is(err, fs.ErrNotExist) {
		content.data, err = []byte("{}"), nil
	}
	if err != nil {
		return nil, Unusable(s.path(), err)
	}
	content.spans, content.closing, err = scanAtMost(maxEntries, content.data)
	if err != nil {
		fix := "restore " + shell.Quote(s.path()) + " from a backup; or, to give up every pairing in it: mv " + shell.Quote(s.path()) + " " + shell.Quote(s.path()+".broken")
		return nil, &StoreError{Path: s.path(), Err: err, Fix: fix}
	}
	s.last = content
	return content, nil
}

// entry reads the bytes of a span; something else than an object is as good as
// an empty one.
func (c *jsonContent) entry(at span) entry {
	return entry{objectOrEmpty(c.data[at.start:at.end])}
}

// update splices the new entries into the old bytes, so that all else stays as
// it was, to the byte.
func (s *jsonStore) update(_ context.Context, devices map[string]Device, without []string, change func(*entry, Device)) (gone []string, err error) {
	content, err := s.read()
	if err != nil {
		return nil, err
	}
	if err := atomicfile.MakeDir(filepath.Dir(s.path())); err != nil {
		return nil, Unusable(s.path(), err)
	}
	if err := s.syncKey(); err != nil {
		return nil, err
	}
	err = s.replace(content, func(c *jsonContent) []byte {
		gone = c.lacks(devices)
		due := maps.Clone(devices)
		for _, id := range gone {
			delete(due, id)
		}
		c = c.without(without...)
		return splice(c.data, c.spans, c.closing, due, change)
	})
	return gone, err
}

// lacks are the ids of the devices that were known and are gone.
func (c *jsonContent) lacks(devices map[string]Device) (gone []string) {
	for id, device := range devices {
		if _, here := c.at(id); device.known && !here {
			gone = append(gone, id)
		}
	}
	return gone
}

// replace writes what build makes of the content. Beside a gateway that serves
// the file it looks at what it took the place of: if that is not what was there
// before, a device was paired or removed in between, and it builds on that once
// more.
func (s *jsonStore) replace(content *jsonContent, build func(*jsonContent) []byte) error {
	written := build(s.withPending(content))
	if !s.live {
		if err := atomicfile.Replace(s.path(), written); err != nil {
			return Unusable(s.path(), err)
		}
		s.pending = nil
		return nil
	}
	expected := content
	for range maxReplaces {
		if err := s.note(expected, written).write(s.stateDir); err != nil {
			return err
		}
		before, err := atomicfile.Exchange(s.path(), written, maxStoreSize)
		if err != nil {
			return Unusable(s.path(), err)
		}
		if before == nil || bytes.Equal(before, expected.data) {
			s.pending = nil
			return errors.Join(Unusable(s.path(), atomicfile.Clear(s.path())), removeNote(s.stateDir))
		}
		found, err := scanned(before)
		if err != nil {
			return Unusable(s.path(), err)
		}
		s.pending = newer(s.pending, found.since(expected.digests()))
		if expected, err = scanned(written); err != nil {
			return Unusable(s.path(), err)
		}
		written = build(s.withPending(found))
		// Only once this is on disk may go what came out.
		if err := (exchangeNote{Pending: s.pending}).write(s.stateDir); err != nil {
			return err
		}
		if err := atomicfile.Clear(s.path()); err != nil {
			return Unusable(s.path(), err)
		}
	}
	return &StoreError{Path: s.path(), Err: errors.New("the running gateway replaced it every time"), Fix: "stop the gateway first, or try again"}
}

// scanned is what was read, or is about to be read.
func scanned(data []byte) (*jsonContent, error) {
	spans, closing, err := scanMembers(data)
	return &jsonContent{data: data, spans: spans, closing: closing}, err
}

// maxReplaces bounds that: a gateway writes some ten times a second at most.
const maxReplaces = 20

// splice returns data with the devices' entries replaced or, at the end, added.
func splice(data []byte, spans []span, closing int, devices map[string]Device, change func(*entry, Device)) []byte {
	counts := map[string]int{} // which span of a name counts: the last one
	for i, span := range spans {
		if _, wanted := devices[span.key]; wanted {
			counts[span.key] = i
		}
	}
	var out bytes.Buffer
	out.Grow(len(data) + len(devices)*1024)
	copied := 0
	for i, span := range spans {
		if at, wanted := counts[span.key]; !wanted || at != i {
			continue
		}
		e := entry{objectOrEmpty(data[span.start:span.end])}
		change(&e, devices[span.key])
		out.Write(data[copied:span.start])
		out.Write(indented(e))
		copied = span.end
	}
	end := closing
	if len(spans) > 0 {
		end = spans[len(spans)-1].end
	}
	out.Write(bytes.TrimRight(data[copied:end], " \n\t\r"))
	separator := "\n  "
	if len(spans) > 0 {
		separator = ",\n  "
	}
	for _, id := range slices.Sorted(maps.Keys(devices)) {
		if _, present := counts[id]; present {
			continue
		}
		var e entry
		change(&e, devices[id])
		out.WriteString(separator)
		out.Write(marshal(id))
		out.WriteString(": ")
		out.Write(indented(e))
		separator = ",\n  "
	}
	if len(spans) == 0 {
		out.WriteByte('\n')
	}
	out.Write(data[end:])
	return out.Bytes()
}

// indented is an entry as the gateway writes it: two spaces a level, one level
// deep. Numbers and strings keep their bytes.
func indented(e entry) []byte {
	var out bytes.Buffer
	// It cannot fail: the bytes were valid JSON when they were read.
	_ = json.Indent(&out, marshal(e.object), "  ", "  ")
	return out.Bytes()
}

func (s *jsonStore) keepLocalToken(_ context.Context, deviceID string, e entry) error {
	if s.staged {
		return nil // the database gets it
	}
	written, err := keepTokenFile(s.stateDir, deviceID, e.token(), e.tokenScopes())
	s.keyUnsynced = s.keyUnsynced && !written
	return err
}

func (s *jsonStore) localToken(ctx context.Context, deviceID string) (string, []string, error) {
	if s.staged {
		found, err := s.lookup(ctx, []string{deviceID})
		if e := found[deviceID]; err != nil || e.token() != "" {
			return e.token(), e.tokenScopes(), err
		}
	}
	file, err := readTokenFile(s.stateDir, deviceID)
	if err != nil {
		return "", nil, err
	}
	_, operator := file.operator()
	token := tokenIn(operator)
	scopes, _ := decode[[]string](operator.get("scopes"))
	return token, scopes, nil
}
