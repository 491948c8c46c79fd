//go:build linux && amd64

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sabotage is a program that is broken on purpose: the harness has to find that.
type sabotage struct {
	name string
	// In file, old is replaced by broken.
	file, old, broken string
	// scenario is tried, with faults at the calls that have near in their key.
	scenario, near string
	// found is what the harness has to say of it.
	found string
}

func sabotages() []sabotage {
	return []sabotage{
		{
			name: "no fsync of a file", file: "internal/atomicfile/atomicfile.go",
			old: "return temporary, file.Sync()", broken: "return temporary, nil",
			scenario: "second client", near: "no call", found: "was replaced by what was not synced before",
		},
		{
			name: "no fsync of a directory", file: "internal/atomicfile/atomicfile.go",
			old: "\tdir, err := os.Open(path)\n\tif errors.Is(err, fs.ErrPermission)", broken: "\treturn nil\n\tdir, err := os.Open(path)\n\tif errors.Is(err, fs.ErrPermission)",
			scenario: "first seed", near: "no call", found: "was made in it, by success",
		},
		{
			name: "no sync of a batch", file: "internal/atomicfile/batch.go",
			old: "\tif err := unix.Syncfs(int(b.top.Fd())); err != nil {", broken: "\tif err := error(nil); err != nil {",
			scenario: "many bundles", near: "no call", found: "was replaced by what was not synced before",
		},
		{
			name: "the ledger before the store", file: "internal/seed/pair.go",
			old: "\tif err := s.write(ctx, devices, found); err != nil {",
			broken: `	mark, err := s.store.mark(ctx)
	if err != nil {
		return nil, false, err
	}
	for i, device := range devices {
		s.ledger.record(device, found.results[i].Outcome, s.store.kind(), mark, true)
	}
	if err := s.keepLedger(); err != nil {
		return nil, false, err
	}
	if err := s.write(ctx, devices, found); err != nil {`,
			scenario: "second client", near: "bootstrap/ledger.json", found: "the ledger is certain of agent-2",
		},
		{
			name: "writing in place", file: "internal/atomicfile/atomicfile.go",
			old: "\ttemporary, err := writeReplacement(path, data, synced)",
			broken: `	if info, err := os.Lstat(path); err == nil {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, info.Mode())
		if err != nil {
			return err
		}
		_, err = file.Write(data)
		return errors.Join(err, file.Sync(), file.Close(), SyncDir(filepath.Dir(path)))
	}
	temporary, err := writeReplacement(path, data, synced)`,
			scenario: "second client", near: "devices/paired.json", found: "the store cannot be read",
		},
	}
}

// breakIt returns a failure for each broken program that is not found to be one.
func (h *harness) breakIt() (failures []failed) {
	for _, s := range sabotages() {
		found, tried, err := h.finds(s)
		if err == nil && found == 0 {
			err = errors.New("NOT FOUND")
		}
		if err != nil {
			fmt.Printf("broken on purpose, %s: %v\n", s.name, err)
			failures = append(failures, failed{wrong: []string{err.Error()}})
			continue
		}
		fmt.Printf("broken on purpose, %s: found in %d of %d cases\n", s.name, found, tried)
	}
	return failures
}

func (h *harness) finds(s sabotage) (found, tried int, err error) {
	program, err := h.build(s)
	if err != nil {
		return 0, 0, err
	}
	broken := &harness{program: program, dir: h.dir, workers: h.workers, near: s.near, quiet: true}
	for _, chosen := range scenarios() {
		if chosen.name != s.scenario {
			continue
		}
		failures, err := broken.run([]scenario{chosen})
		if err != nil {
			return 0, 0, err
		}
		for _, f := range failures {
			if strings.Contains(strings.Join(f.wrong, "\n"), s.found) {
				found++
			}
		}
	}
	tried = len(broken.titles)
	for _, count := range broken.counts {
		tried += count
	}
	return found, tried, nil
}

// build compiles the program with the file replaced, which itself stays as it is.
func (h *harness) build(s sabotage) (program string, err error) {
	data, err := os.ReadFile(s.file)
	if err != nil {
		return "", err
	}
	if strings.Count(string(data), s.old) != 1 {
		return "", fmt.Errorf("%s has changed: it has no longer one %q", s.file, s.old)
	}
	path, err := filepath.Abs(s.file)
	if err != nil {
		return "", err
	}
	source, list := filepath.Join(h.dir, "broken.go"), filepath.Join(h.dir, "overlay.json")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: source}})
	if err != nil {
		return "", err
	}
	err = errors.Join(os.WriteFile(source, []byte(strings.Replace(string(data), s.old, s.broken, 1)), 0o600), os.WriteFile(list, overlay, 0o600))
	if err != nil {
		return "", err
	}
	program = filepath.Join(h.dir, "broken")
	cmd := exec.Command("go", "build", "-overlay", list, "-o", program, "./cmd/bootstrap")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
}
