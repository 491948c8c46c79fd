package main

import (
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func program(modules ...*debug.Module) subject {
	return subject{
		file: "program-linux-amd64", sha256: "abc", version: "v1.2.3", created: time.Unix(0, 0).UTC(),
		info: &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: "example.com/program"}, Deps: modules},
	}
}

func TestEveryModuleIsAPackageThatTheProgramDependsOn(t *testing.T) {
	known, err := readLicenses(strings.NewReader("example.com/a/inner,MIT\nexample.com/a,BSD-3-Clause\nexample.com/ab,ISC\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := describe(program(&debug.Module{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:x="}), known)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Packages) != 3 || len(got.Relationships) != 3 {
		t.Fatalf("%d packages and %d relationships, want the program, Go and the module", len(got.Packages), len(got.Relationships))
	}
	module := got.Packages[2]
	if module.LicenseDeclared != "BSD-3-Clause AND MIT" {
		t.Errorf("the licence is %q", module.LicenseDeclared)
	}
	if locator := module.ExternalRefs[0].Locator; locator != "pkg:golang/example.com/a@v1.0.0" {
		t.Errorf("the locator is %q", locator)
	}
	if locator := got.Packages[1].ExternalRefs[0].Locator; locator != "pkg:golang/stdlib@1.26.8" {
		t.Errorf("Go's own locator is %q", locator)
	}
}

func TestAModuleWithoutALicenceIsRefused(t *testing.T) {
	if _, err := describe(program(&debug.Module{Path: "example.com/a"}), licenses{"example.com/ab": {"MIT"}}); err == nil {
		t.Error("it was let through")
	}
}

func TestALicenceThatIsNotKnownIsRefused(t *testing.T) {
	for _, line := range []string{"example.com/a", "example.com/a,", ",MIT", "example.com/a,Unknown"} {
		if _, err := readLicenses(strings.NewReader(line)); err == nil {
			t.Errorf("%q was let through", line)
		}
	}
}
