package gateway

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Whoever can write the volume can write the configuration. Reading it must cost
// little, whatever is in there.

// costOf is what reading allocates in all, in bytes.
func costOf(read func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func readBomb(t *testing.T, files map[string]string) (config Config, cost uint64) {
	t.Helper()
	env := testEnvironment(t)
	dir := filepath.Join(env.Home, ".openclaw")
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), text)
	}
	cost = costOf(func() { config = readConfig(filepath.Join(dir, "openclaw.json"), env, Release{}, newVariables(nil)) })
	return config, cost
}

func TestVariablesThatDoubleEachOtherAreNotExpanded(t *testing.T) {
	const levels = 26 // 512 MB
	var vars []string
	for i := range levels {
		value := strings.Repeat("x", 16)
		if i > 0 {
			value = strings.Repeat(fmt.Sprintf("${A%02d}", i-1), 2)
		}
		vars = append(vars, fmt.Sprintf("A%02d: '%s'", i, value))
	}
	for name, text := range map[string]string{
		"in the environment": fmt.Sprintf("{env: {vars: {%s}}, gateway: {auth: {token: '${A%d}'}}}", strings.Join(vars, ", "), levels-1),
		"in one value":       fmt.Sprintf("{env: {vars: {A: '%s'}}, gateway: {bind: '%s', auth: {token: '%s'}}}", strings.Repeat("x", 100_000), strings.Repeat("${A}", 5_000), strings.Repeat("${A}", 5_000)),
	} {
		t.Run(name, func(t *testing.T) {
			config, cost := readBomb(t, map[string]string{"openclaw.json": text})
			// Under the race detector the regexp package allocates anew for each match: 90 MB.
			if cost > 200<<20 {
				t.Errorf("it took %d MB", cost>>20)
			}
			if size := len(config.Token.Secret.Reveal()); size > 128<<10 || config.Token.InDoubt == "" {
				t.Errorf("the token has %d bytes, and the doubt is %.200q", size, config.Token.InDoubt)
			}
			if len(config.InDoubt)+len(config.Token.InDoubt) > 2000 {
				t.Errorf("the doubts have %d bytes", len(config.InDoubt)+len(config.Token.InDoubt))
			}
		})
	}
}

func TestAHundredThousandMissingVariablesAreNotAllTold(t *testing.T) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "${A%d}", i)
	}
	config, _ := readBomb(t, map[string]string{"openclaw.json": "{gateway: {bind: '" + text.String() + "', auth: {token: '" + text.String() + "'}}}"})
	if size := len(config.InDoubt) + len(config.Token.InDoubt); size == 0 || size > 1000 {
		t.Errorf("the doubts have %d bytes", size)
	}
}

// Each further file is merged into what there is, which must not be copied for it.
func TestManyIncludesCostWhatIsInThem(t *testing.T) {
	var big strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&big, "a%d:1,", i)
	}
	list := strings.TrimSuffix(strings.Repeat("1,", 40_000), ",")
	config, cost := readBomb(t, map[string]string{
		"big.json": "{" + big.String() + "list:[" + list + "], gateway: {port: 7}}", "small.json": "{gateway: {bind: 'lan'}, list: [2]}",
		"openclaw.json": `{"$include": ["./big.json"` + strings.Repeat(`,"./small.json"`, 900) + `]}`,
	})
	if config.InDoubt != "" || config.Port != 7 || config.Bind != "lan" || len(config.Files) != 901 {
		t.Errorf("it was read as %+v", config)
	}
	if cost > 200<<20 {
		t.Errorf("it took %d MB", cost>>20)
	}
}

func TestAConfigurationOfMoreValuesThanAnyIsNotRead(t *testing.T) {
	values := "[" + strings.Repeat("[],", 60_000) + "[]]"
	for name, files := range map[string]map[string]string{
		"in one file":      {"openclaw.json": "{a: [" + strings.Repeat("1,", 300_000) + "1]}"},
		"in several files": {"a.json": "{a: " + values + "}", "openclaw.json": `{"$include": ["./a.json", "./a.json", "./a.json", "./a.json"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			if config, _ := readBomb(t, files); !strings.Contains(config.InDoubt, "values") {
				t.Errorf("the doubt is %q", config.InDoubt)
			}
		})
	}
}
