package main

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// subject is the program that a document is about.
type subject struct {
	file, sha256, version string
	created               time.Time
	info                  *debug.BuildInfo
}

// The parts of SPDX 2.3 that are used, by their names there.
type (
	document struct {
		SPDXVersion       string         `json:"spdxVersion"`
		DataLicense       string         `json:"dataLicense"`
		SPDXID            string         `json:"SPDXID"`
		Name              string         `json:"name"`
		DocumentNamespace string         `json:"documentNamespace"`
		CreationInfo      creationInfo   `json:"creationInfo"`
		Packages          []spdxPackage  `json:"packages"`
		Relationships     []relationship `json:"relationships"`
	}
	creationInfo struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		SPDXID                string        `json:"SPDXID"`
		Name                  string        `json:"name"`
		VersionInfo           string        `json:"versionInfo"`
		PackageFileName       string        `json:"packageFileName,omitempty"`
		PrimaryPackagePurpose string        `json:"primaryPackagePurpose"`
		DownloadLocation      string        `json:"downloadLocation"`
		FilesAnalyzed         bool          `json:"filesAnalyzed"`
		Checksums             []checksum    `json:"checksums,omitempty"`
		LicenseConcluded      string        `json:"licenseConcluded"`
		LicenseDeclared       string        `json:"licenseDeclared"`
		CopyrightText         string        `json:"copyrightText"`
		ExternalRefs          []externalRef `json:"externalRefs"`
		Comment               string        `json:"comment,omitempty"`
	}
	checksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	externalRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	relationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const (
	documentID = "SPDXRef-DOCUMENT"
	programID  = "SPDXRef-Package-program"
	unknown    = "NOASSERTION"
)

// describe makes the document. A module without a licence is an error: it
// should not have come as far as a release.
func describe(s subject, known licenses) (document, error) {
	main := s.info.Main.Path
	program := golangPackage(programID, main, s.version, "Apache-2.0")
	program.PrimaryPackagePurpose, program.PackageFileName = "APPLICATION", s.file
	program.DownloadLocation = "git+https://" + main
	program.Checksums = []checksum{{"SHA256", s.sha256}}
	out := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: documentID, Name: s.file,
		// The hash makes it unique, and the same for whoever builds the same.
		DocumentNamespace: "https://" + main + "/spdx/" + s.file + "-" + s.sha256,
		CreationInfo:      creationInfo{s.created.Format(time.RFC3339), []string{"Tool: " + main + "/scripts/sbom"}},
		Packages:          []spdxPackage{program},
		Relationships:     []relationship{{documentID, "DESCRIBES", programID}},
	}
	add := func(p spdxPackage) {
		out.Packages = append(out.Packages, p)
		out.Relationships = append(out.Relationships, relationship{programID, "DEPENDS_ON", p.SPDXID})
	}
	// Vulnerability scanners know Go's own packages by the name "stdlib".
	add(golangPackage("SPDXRef-Package-stdlib", "stdlib", strings.TrimPrefix(s.info.GoVersion, "go"), "BSD-3-Clause"))
	for _, module := range s.info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		license, found := known.of(module.Path)
		if !found {
			return document{}, fmt.Errorf("no licence is known for %s", module.Path)
		}
		p := golangPackage("SPDXRef-Package-"+idText(module.Path), module.Path, module.Version, license)
		p.Comment = "go.sum " + module.Sum
		add(p)
	}
	return out, nil
}

func golangPackage(id, path, version, license string) spdxPackage {
	return spdxPackage{
		SPDXID: id, Name: path, VersionInfo: version, PrimaryPackagePurpose: "LIBRARY",
		DownloadLocation: unknown, LicenseConcluded: license, LicenseDeclared: license, CopyrightText: unknown,
		ExternalRefs: []externalRef{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}},
	}
}

// idText replaces what SPDX allows in no identifier.
func idText(path string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, path)
}
