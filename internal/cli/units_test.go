package cli

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unit reads a file of docker/systemd: the comment that it begins with, and the rest.
func unit(t *testing.T, name string) (head, rest string) {
	t.Helper()
	data, err := os.ReadFile("../../docker/systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(data), "\n[")
	if !found {
		t.Fatalf("%s has no section", name)
	}
	return head, rest
}

// podman refuses a unit whose volume is not there: "requested Quadlet source
// openclaw-state.volume was not found".
func TestWhoInstallsTheQuadletInstallsWhatItNames(t *testing.T) {
	head, rest := unit(t, "openclaw.container")
	files := []string{"openclaw.container"}
	for _, volume := range regexp.MustCompile(`(?m)^Volume=([^:]+\.volume):`).FindAllStringSubmatch(rest, -1) {
		files = append(files, volume[1])
	}
	if len(files) != 2 {
		t.Fatalf("it names %v", files)
	}
	for _, file := range files {
		if !regexp.MustCompile(`(?m)^#   install .*docker/systemd/` + regexp.QuoteMeta(file) + `( |$)`).MatchString(head) {
			t.Errorf("its head does not install %s", file)
		}
	}
}

// podman 5 and 6 end with "unknown mount option" over any other, uid= and gid= among
// them, which Docker takes.
func TestTheQuadletMountsNothingThatPodmanRefuses(t *testing.T) {
	known := []string{"size", "mode", "rw", "ro", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "tmpcopyup", "notmpcopyup", "noatime"}
	_, rest := unit(t, "openclaw.container")
	mounts := regexp.MustCompile(`(?m)^Tmpfs=([^:\n]+):?(.*)$`).FindAllStringSubmatch(rest, -1)
	if len(mounts) != 2 {
		t.Fatalf("found %v", mounts)
	}
	for _, mount := range mounts {
		for _, option := range strings.FieldsFunc(mount[2], func(r rune) bool { return r == ',' }) {
			if name, _, _ := strings.Cut(option, "="); !slices.Contains(known, name) {
				t.Errorf("%s: %s", mount[1], option)
			}
		}
	}
}

// Older ones leave a specifier that they do not know as it is, and there is no such
// file: exit 2. %d came with 250.
func TestTheUnitSaysWhichSystemdKnowsItsSpecifiers(t *testing.T) {
	head, rest := unit(t, "bootstrap.service")
	said := regexp.MustCompile(`systemd ([0-9]+) or newer`).FindStringSubmatch(head)
	if said == nil {
		t.Fatal("its head names no release of systemd")
	}
	if release, err := strconv.Atoi(said[1]); err != nil || release < 250 && strings.Contains(rest, "%d") {
		t.Errorf("%%d is unknown to systemd %s, which its head is content with", said[1])
	}
}
