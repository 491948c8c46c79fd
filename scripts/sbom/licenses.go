package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// licenses are SPDX identifiers by the path of a package or module.
type licenses map[string][]string

// readLicenses reads lines of the form package,licence.
func readLicenses(from io.Reader) (licenses, error) {
	known := licenses{}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		path, license, found := strings.Cut(lines.Text(), ",")
		if !found || path == "" || license == "" || license == "Unknown" {
			return nil, fmt.Errorf("%q is not of the form package,licence", lines.Text())
		}
		known[path] = append(known[path], license)
	}
	return known, lines.Err()
}

// of is what a module is under: everything that was found in the module or in a
// package of it, all of which holds.
func (l licenses) of(module string) (string, bool) {
	var all []string
	for path, found := range l {
		if path == module || strings.HasPrefix(path, module+"/") {
			all = append(all, found...)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return strings.Join(all, " AND "), len(all) > 0
}
