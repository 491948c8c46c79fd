package seed

import (
	"context"
	"os"
	"slices"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/gateway"
)

// Staged is bootstrap/staged.json: entries that wait for the database which the
// gateway's first boot will make. A release that reads no pairing files gets none:
// 2026.9.5 complains about them at every start ("Legacy pairing stores require
// repair") and imports nothing.
const Staged Kind = "staged"

// filesOf is the store where there is no database that counts: the files, or
// what is staged. A volume that has pairing files keeps them: its gateway decides
// what becomes of them.
func filesOf(options Options) *jsonStore {
	files := &jsonStore{stateDir: options.StateDir, live: options.Live != nil, reason: "there is no database"}
	staged := stagedIn(options.StateDir)
	switch {
	case options.Era == gateway.EraJSON, atomicfile.Exists(files.path()):
		return files
	case options.Stage, atomicfile.Exists(staged.path()):
		return staged
	}
	return files
}

// unstage removes what was staged for devices that are in a gateway's store now,
// and for the former keys whose place they took.
func (s *Session) unstage(devices []Device, formers [][]string) error {
	staged := stagedIn(s.options.StateDir)
	if s.store.kind() == Staged || !atomicfile.Exists(staged.path()) {
		return nil
	}
	content, err := staged.read()
	if err != nil {
		return err
	}
	paired := setOf(append(idsOf(devices), slices.Concat(formers...)...))
	if !slices.ContainsFunc(content.spans, func(s span) bool { return !paired[s.key] }) {
		return Unusable(staged.path(), os.Remove(staged.path()))
	}
	rest, some := cut(content.data, content.spans, paired)
	if !some {
		return nil
	}
	return staged.replace(content, func(*jsonContent) []byte { return rest })
}

// withdraw stages a file that the gateway has no use for and complains about: one
// in which nobody is but devices that were seeded here. What was removed from the
// file stays removed.
func (s *Session) withdraw(ctx context.Context) error {
	files, isFile := s.store.(*jsonStore)
	if !s.options.Withdraw || !isFile || files.staged || !atomicfile.Exists(files.path()) {
		return nil
	}
	content, err := files.read()
	if err != nil || slices.ContainsFunc(content.spans, func(at span) bool { return !s.ledger.knows(at.key) }) {
		return err
	}
	mark, err := files.mark(ctx)
	if err != nil {
		return err
	}
	for id := range s.ledger.data.Devices {
		if _, here := content.at(id); !here && s.ledger.revoked(id, JSON, mark) {
			s.ledger.noteRevoked(id)
		}
	}
	if err := s.ledger.write(); err != nil {
		return err
	}
	staged := stagedIn(s.options.StateDir)
	if err := os.Rename(files.path(), staged.path()); err != nil {
		return Unusable(staged.path(), err)
	}
	s.store = staged
	return nil
}

func stagedIn(stateDir string) *jsonStore {
	return &jsonStore{stateDir: stateDir, staged: true, reason: "the gateway makes its database when it starts"}
}
