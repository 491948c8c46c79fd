//go:build linux && amd64

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// filesystem is a real one, in a file behind a loop device.
type filesystem struct {
	name    string
	size    int64 // the least that it can be made with
	options string
}

// A journal that is written down only when it has to be makes the worst states.
func filesystems() []filesystem {
	return []filesystem{{"ext4", 32 << 20, "commit=300"}, {"xfs", 300 << 20, "noatime"}, {"btrfs", 128 << 20, "commit=300"}}
}

// moment is what the disk has while the program is stopped before one of its calls:
// what the kernel has not written down yet is not in it, as after a loss of power.
type moment struct {
	image string
	what  string
	said  bool // success was reported before
}

// replay runs each scenario on each filesystem, and goes on from every moment of it.
func (h *harness) replay(chosen []scenario) (failures []failed, err error) {
	for _, fs := range filesystems() {
		if _, err := exec.LookPath("mkfs." + fs.name); err != nil {
			fmt.Printf("power loss on %s: not tried, for there is no mkfs.%s\n", fs.name, fs.name)
			continue
		}
		states, bad := 0, len(failures)
		for _, s := range chosen {
			if s.prepare != nil && s.command[0] == "approve" {
				continue // its gateway would remember what the volume has lost
			}
			for _, store := range s.stores {
				d := &mountable{fs: fs, dir: filepath.Join(h.dir, "mounted")}
				tried, wrong, err := d.replay(h.program, s, store)
				if err != nil {
					return nil, fmt.Errorf("%s, %s on %s: %w", s.name, store, fs.name, errors.Join(err, d.unmount()))
				}
				states += tried
				for _, f := range wrong {
					failures = append(failures, f)
					h.tell(len(failures), f)
				}
			}
		}
		fmt.Printf("power loss on %s: %d mounted states, %d failures\n", fs.name, states, len(failures)-bad)
	}
	return failures, nil
}

// mountable is a filesystem's file, and where it is mounted.
type mountable struct {
	fs      filesystem
	dir     string
	loop    string
	moments []moment
	last    [sha256.Size]byte
	said    bool
}

func (d *mountable) root() string { return filepath.Join(d.dir, "volume") }

func (d *mountable) mount(image string) (err error) {
	if d.loop, err = tool("losetup", "--find", "--show", image); err != nil {
		return err
	}
	_, err = tool("mount", "-t", d.fs.name, "-o", d.fs.options, d.loop, d.root())
	return err
}

func (d *mountable) unmount() error {
	if d.loop == "" {
		return nil
	}
	_, err := tool("umount", d.root())
	_, loopErr := tool("losetup", "--detach", d.loop)
	d.loop = ""
	return errors.Join(err, loopErr)
}

// tool runs a program until it succeeds: a helper that is just ending may keep a
// filesystem busy, and XFS its UUID for a moment longer.
func tool(name string, args ...string) (string, error) {
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err == nil {
			return strings.TrimSpace(string(out)), nil
		}
		if time.Since(start) > patience {
			return "", fmt.Errorf("%s: %w: %s", name, err, out)
		}
	}
}

func (d *mountable) replay(program string, s scenario, store storeKind) (states int, failures []failed, err error) {
	image := filepath.Join(d.dir, "image")
	w := &world{scenario: s, store: store, bin: program, root: d.root(), beside: filepath.Join(d.dir, "out")}
	if err := errors.Join(os.RemoveAll(d.dir), os.MkdirAll(w.root, 0o700), os.MkdirAll(w.beside, 0o700), os.WriteFile(image, nil, 0o600), os.Truncate(image, d.fs.size)); err != nil {
		return 0, nil, err
	}
	if _, err := tool("mkfs."+d.fs.name, "-q", image); err != nil {
		return 0, nil, err
	}
	if err := d.mount(image); err != nil {
		return 0, nil, err
	}
	defer w.close()
	if err := w.begin(); err != nil {
		return 0, nil, err
	}
	// All that was before is on disk.
	if err := errors.Join(d.unmount(), d.mount(image)); err != nil {
		return 0, nil, err
	}
	p := w.program(w.command)
	p.stopped = func(c call) error { return d.keep(image, c) }
	result, err := p.trace(nil)
	if err == nil {
		d.said = true
		err = d.keep(image, call{op: "the end"})
	}
	if err = errors.Join(err, d.unmount()); err != nil || result.code != w.success {
		return 0, nil, fmt.Errorf("it ended with %d: %w", result.code, err)
	}
	for _, m := range d.moments {
		if err := d.mount(m.image); err != nil {
			return 0, nil, err
		}
		wrong := w.always()
		if m.said {
			wrong = append(wrong, w.complete(result.stdout)...)
		}
		wrong = append(wrong, w.goOn()...)
		if err := errors.Join(d.unmount(), os.Remove(m.image)); err != nil {
			return 0, nil, err
		}
		if len(wrong) > 0 {
			failures = append(failures, failed{cell: cell{w.title(), kind(d.fs.name)}, fault: "power loss before " + m.what, wrong: wrong})
		}
	}
	return len(d.moments), failures, nil
}

// keep copies the disk as it is now, unless it is as it was.
func (d *mountable) keep(image string, c call) error {
	d.said = d.said || c.op == opReport
	copied := filepath.Join(d.dir, fmt.Sprintf("moment.%d", len(d.moments)))
	sum, err := copySparse(image, copied)
	if err != nil {
		return err
	}
	if n := len(d.moments); sum == d.last && n > 0 && d.moments[n-1].said == d.said {
		return os.Remove(copied)
	}
	d.last = sum
	d.moments = append(d.moments, moment{image: copied, what: c.key(), said: d.said})
	return nil
}

// copySparse copies a file without its holes, and says what it has.
func copySparse(from, to string) (sum [sha256.Size]byte, err error) {
	in, err := os.Open(from)
	if err != nil {
		return sum, err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return sum, err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := sha256.New()
	for at := int64(0); ; {
		begin, err := unix.Seek(int(in.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return sum, err
		}
		if at, err = unix.Seek(int(in.Fd()), begin, unix.SEEK_HOLE); err != nil {
			return sum, err
		}
		part := io.NewSectionReader(in, begin, at-begin)
		fmt.Fprint(hash, begin, at)
		if _, err := io.Copy(io.MultiWriter(hash, io.NewOffsetWriter(out, begin)), part); err != nil {
			return sum, err
		}
	}
	return [sha256.Size]byte(hash.Sum(nil)), out.Truncate(info.Size())
}
