package identity

import (
	"strings"
	"testing"
)

func TestATokenHasNoCharacterThatAShellOrAHeaderTakesForSomethingElse(t *testing.T) {
	for _, token := range []string{"a", "9dZ-_x", "88df06b4-f975-42f8-9b88-f3b31bbe3d4e", "a+b/c==", "a.b~c", strings.Repeat("a", 512)} {
		if !IsToken(token) {
			t.Errorf("%q is none", token)
		}
	}
	for c := range 256 {
		text := "a" + string([]byte{byte(c)})
		want := strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=-", rune(c))
		if IsToken(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	for _, text := range []string{"", strings.Repeat("a", 513), "é"} {
		if IsToken(text) {
			t.Errorf("%.10q is one", text)
		}
	}
}
