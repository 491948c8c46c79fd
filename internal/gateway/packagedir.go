package gateway

import "path/filepath"

const packageName = "openclaw"

// maxParents bounds the walk from a script up to its package.json.
const maxParents = 12

// findPackage finds the folder of the openclaw package that a script or
// executable belongs to: through its symbolic links, then upwards. A shim in a
// node_modules/.bin folder (pnpm writes shell scripts there) belongs to the
// package beside it. "" means none.
func findPackage(file string) string {
	if file == "" {
		return ""
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		if dir := packageAbove(filepath.Dir(real)); dir != "" {
			return dir
		}
	}
	shims := filepath.Dir(file)
	if filepath.Base(shims) != ".bin" {
		return ""
	}
	beside := filepath.Join(filepath.Dir(shims), packageName)
	if real, err := filepath.EvalSymlinks(beside); err == nil && isPackage(real) {
		return real
	}
	return ""
}

func packageAbove(dir string) string {
	for range maxParents {
		if found, err := readManifest(dir); err == nil && found.Name != "" {
			if found.Name == packageName {
				return dir
			}
			return "" // the file belongs to another package
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return ""
}

func isPackage(dir string) bool {
	found, err := readManifest(dir)
	return err == nil && found.Name == packageName
}
