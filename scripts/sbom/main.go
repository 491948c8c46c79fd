// Command sbom writes what a program was linked from as SPDX 2.3 JSON, read from
// the program itself, with the licences that scripts/licenses found. It owns a
// part of "make release" and is no part of the program that is shipped.
//
//	sbom -created 1700000000 -licenses FILE dist/bootstrap-linux-amd64
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1) //nolint:forbidigo // nothing is deferred here
	}
}

func run(arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	version := flags.String("version", "", "release of the program")
	created := flags.Int64("created", 0, "time that the document bears, in seconds since 1970")
	licenses := flags.String("licenses", "", "file of lines package,licence, as scripts/licenses list makes it")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("usage: sbom -version RELEASE -created SECONDS -licenses FILE PROGRAM")
	}
	path := flags.Arg(0)
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read what %s was built from: %w", path, err)
	}
	file, err := os.Open(*licenses)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	known, err := readLicenses(file)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", *licenses, err)
	}
	sum := sha256.Sum256(program)
	document, err := describe(subject{
		file: filepath.Base(path), sha256: hex.EncodeToString(sum[:]), version: *version,
		created: time.Unix(*created, 0).UTC(), info: info,
	}, known)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(document)
}
