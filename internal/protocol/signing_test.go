package protocol

import (
	"errors"
	"slices"
	"testing"
)

func TestTheOlderSignatureIsTriedAndRemembered(t *testing.T) {
	rejected := &Refusal{Kind: DeviceAuth, Message: "device signature invalid"}
	for name, c := range map[string]struct {
		answers     []error
		first, then []Signature
	}{
		"a newer gateway":                    {[]error{nil}, []Signature{SignatureV3}, []Signature{SignatureV3}},
		"an older gateway":                   {[]error{rejected, nil}, []Signature{SignatureV3, SignatureV2}, []Signature{SignatureV2}},
		"an older gateway that says no":      {[]error{rejected, &Refusal{Kind: NotPaired}}, []Signature{SignatureV3, SignatureV2}, []Signature{SignatureV2}},
		"a key that neither form helps":      {[]error{rejected, rejected}, []Signature{SignatureV3, SignatureV2}, []Signature{SignatureV3, SignatureV2}},
		"a connection lost before the older": {[]error{rejected, errors.New("lost")}, []Signature{SignatureV3, SignatureV2}, []Signature{SignatureV3, SignatureV2}},
		"another refusal with those words":   {[]error{&Refusal{Kind: NotPaired, Message: "device signature invalid"}}, []Signature{SignatureV3}, []Signature{SignatureV3}},
	} {
		t.Run(name, func(t *testing.T) {
			var signing Signing
			for _, want := range [][]Signature{c.first, c.then} {
				var tried []Signature
				err := signing.Try(func(form Signature) error {
					tried = append(tried, form)
					return c.answers[min(len(tried), len(c.answers))-1]
				})
				if !slices.Equal(tried, want) {
					t.Errorf("tried %v, want %v", tried, want)
				}
				if len(tried) == len(c.answers) && !errors.Is(err, c.answers[len(tried)-1]) {
					t.Errorf("the last answer is %v, and not %v", c.answers[len(tried)-1], err)
				}
			}
		})
	}
}
