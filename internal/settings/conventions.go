package settings

import (
	"fmt"
	"strconv"
	"strings"
)

// takePUID honours PUID and PGID, by which images of LinuxServer.io and others are
// told whom to run as. They are variables of the container, so every command there
// goes by them; --user and BOOTSTRAP_USER say the same, and both is one too many.
func (s *Settings) takePUID(merged map[string]string) (problems []string) {
	uid, gid := strings.TrimSpace(merged["PUID"]), strings.TrimSpace(merged["PGID"])
	if uid == "" && gid == "" {
		return nil
	}
	switch {
	case s.User != "":
		return []string{"--user (BOOTSTRAP_USER) and PUID or PGID are both set: keep one of them"}
	case uid == "":
		return []string{"PGID is set and PUID is not: set both, or --user (BOOTSTRAP_USER)"}
	}
	for _, id := range []struct{ name, value string }{{"PUID", uid}, {"PGID", gid}} {
		if _, err := strconv.ParseUint(id.value, 10, 31); err != nil && id.value != "" {
			problems = append(problems, fmt.Sprintf("%s: %q is no number of a user or group", id.name, id.value))
		}
	}
	if gid != "" {
		uid += ":" + gid
	}
	s.User = UserSpec(uid)
	return problems
}

// ExitCodes are exit codes of the gateway, and what becomes of them.
type ExitCodes []struct{ from, to int }

// Of is what bootstrap ends with where the gateway ends with code.
func (e ExitCodes) Of(code int) int {
	for _, each := range e {
		if each.from == code {
			return each.to
		}
	}
	return code
}

// UnmarshalText reads CODE or CODE=TO, with commas between several. Codes go from 0
// to 255, and each becomes one other.
func (e *ExitCodes) UnmarshalText(text []byte) error {
	var codes ExitCodes
	for each := range strings.SplitSeq(string(text), ",") {
		from, to, given := strings.Cut(strings.TrimSpace(each), "=")
		if !given {
			to = "0"
		}
		code, err := strconv.ParseUint(from, 10, 8)
		if err != nil {
			return fmt.Errorf("%q is not an exit code from 0 to 255", from)
		}
		becomes, err := strconv.ParseUint(to, 10, 8)
		if err != nil {
			return fmt.Errorf("%q is not an exit code from 0 to 255", to)
		}
		for _, known := range codes {
			if known.from == int(code) && known.to != int(becomes) {
				return fmt.Errorf("%d cannot become both %d and %d", code, known.to, becomes)
			}
		}
		codes = append(codes, struct{ from, to int }{int(code), int(becomes)})
	}
	*e = codes
	return nil
}
