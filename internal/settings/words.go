package settings

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v10"
)

// parsers read the values that have no type of ours, or are one of a few words. The
// libraries say "parse error" or "invalid syntax", and not what to write instead.
func parsers() map[reflect.Type]env.ParserFunc {
	return map[reflect.Type]env.ParserFunc{
		reflect.TypeFor[time.Duration](): func(text string) (any, error) { return ParseTime(text) },
		reflect.TypeFor[bool]():          func(text string) (any, error) { return ParseBool(text) },
		reflect.TypeFor[int](): func(text string) (any, error) {
			number, err := strconv.Atoi(text)
			if err != nil {
				return 0, fmt.Errorf("%q is not a whole number", text)
			}
			return number, nil
		},
		reflect.TypeFor[Handover]():    oneOf(Auto, Exec, Supervise),
		reflect.TypeFor[LogFormat]():   oneOf(FormatAuto, FormatConsole, FormatJSON),
		reflect.TypeFor[HookFailure](): oneOf(StopOnFailure, WarnOnFailure),
		reflect.TypeFor[HookRepeat]():  oneOf(Once, Always),
		reflect.TypeFor[Role]():        oneOf[Role]("operator", "node"),
	}
}

func oneOf[T ~string](choices ...T) env.ParserFunc {
	return func(text string) (any, error) {
		var names []string
		for _, choice := range choices {
			if text == string(choice) {
				return choice, nil
			}
			names = append(names, string(choice))
		}
		return nil, fmt.Errorf("%q is not one of %s", text, strings.Join(names, ", "))
	}
}

// ParseTime reads how long something takes.
func ParseTime(text string) (time.Duration, error) {
	duration, err := time.ParseDuration(text)
	if err == nil {
		return duration, nil
	}
	example := "60s"
	if text != "" && strings.Trim(text, "0123456789") == "" {
		example = text + "s"
	}
	return 0, fmt.Errorf("%q is not a time: write %s or 2m", text, example)
}

// ParseBool reads a yes or no.
func ParseBool(text string) (bool, error) {
	yes, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", text)
	}
	return yes, nil
}
