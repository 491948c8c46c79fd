package cli

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestAQRCodeIsDrawnInWhole looks for what a reader looks for: the quiet zone, the
// three finders, and the line of modules between two of them.
func TestAQRCodeIsDrawnInWhole(t *testing.T) {
	drawn, err := drawQR("https://gateway.example/#bootstrapToken=" + strings.Repeat("x", 43) + "&bootstrapProfile=owner&gatewayUrl=wss%3A%2F%2Fgateway.example")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]bool
	for line := range strings.Lines(drawn) {
		var above, below []bool
		for _, r := range strings.TrimSuffix(line, "\n") {
			above = append(above, r == ' ' || r == '▄')
			below = append(below, r == ' ' || r == '▀')
		}
		rows = append(rows, above, below)
	}
	size := utf8.RuneCountInString(drawn[:strings.IndexByte(drawn, '\n')]) - 2*quietZone
	if size%4 != 1 || len(rows) < size+2*quietZone {
		t.Fatalf("%d modules, %d rows", size, len(rows))
	}
	for i, want := range []string{"#######", "#     #", "# ### #", "# ### #", "# ### #", "#     #", "#######"} {
		for _, corner := range [][2]int{{0, 0}, {size - 7, 0}, {0, size - 7}} {
			var got strings.Builder
			for x := range 7 {
				got.WriteByte(" #"[map[bool]int{true: 1}[rows[quietZone+corner[1]+i][quietZone+corner[0]+x]]])
			}
			if got.String() != want {
				t.Errorf("finder at %v, row %d: %q", corner, i, got.String())
			}
		}
	}
	for x := 8; x < size-8; x++ {
		if rows[quietZone+6][quietZone+x] != (x%2 == 0) {
			t.Errorf("the timing pattern is wrong at %d", x)
		}
	}
}
