package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

// What stands there meanwhile and cannot be read, since it is too large, is put
// back: nobody can merge it, and it is not ours to take away.
func TestAnExchangeThatCannotReadWhatWasThereTakesNothingAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paired.json")
	const theirs = "more than the limit"
	if err := os.WriteFile(path, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Exchange(path, []byte("ours"), int64(len(theirs)-1)); err == nil {
		t.Error("a file beyond the limit was read")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != theirs {
		t.Errorf("there is %q, %v", got, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestAFileThatAppearsMeanwhileIsExchangedNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paired.json")
	if err := os.WriteFile(path, []byte("theirs"), 0o640); err != nil {
		t.Fatal(err)
	}
	// There was none a moment ago.
	before, err := exchangeNew(path, []byte("ours"), 100)
	if err != nil || string(before) != "theirs" {
		t.Errorf("it took the place of %q, %v", before, err)
	}
	for at, want := range map[string]string{path: "ours", Temporary(path): "theirs"} {
		if got, err := os.ReadFile(at); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", at, got, err)
		}
	}
}
