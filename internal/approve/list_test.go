package approve

import (
	"slices"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// As 2026.2.26 and 2026.9.6 send it; ids and keys are made up.
const (
	list226 = `{"pending":[{"requestId":"842f2b15-7cf7-4cf9-9387-e0268ba02f03","deviceId":"d1","publicKey":"k1","platform":"linux","clientId":"cli","clientMode":"cli","role":"operator","roles":["operator"],"scopes":["operator.read","operator.write"],"remoteIp":"192.0.2.2","silent":false,"isRepair":true,"ts":1795372949440}],` +
		`"paired":[{"deviceId":"d2","publicKey":"k2","platform":"linux","clientId":"gateway-client","clientMode":"backend","role":"operator","roles":["operator"],"scopes":["operator.admin","operator.pairing"],"createdAtMs":1795372949446,"approvedAtMs":1795372949446,"tokens":[{"role":"operator","scopes":["operator.admin","operator.pairing"],"createdAtMs":1795372949446}]}]}`
	list906 = `{"pending":[],"paired":[{"deviceId":"d3","publicKey":"k3","displayName":"ops","platform":"linux","clientId":"cli","clientMode":"cli","role":"operator","roles":["operator"],"scopes":["operator.read"],"remoteIp":"192.0.2.2","approvedVia":"owner","createdAtMs":1795372953210,"approvedAtMs":1795372953211,"connected":false,"tokens":[{"role":"operator","scopes":["operator.read"],"createdAtMs":1795372953210,"revokedAtMs":1795372953299}]}]}`
)

func TestListIsReadOnOldAndNewReleases(t *testing.T) {
	pending, paired, err := parseList([]byte(list226))
	if err != nil || len(pending) != 1 || len(paired) != 1 {
		t.Fatalf("got %v, %v, %v", pending, paired, err)
	}
	r := pending[0]
	if r.RequestID != "842f2b15-7cf7-4cf9-9387-e0268ba02f03" || r.DeviceID != "d1" || r.PublicKey != "k1" || !r.Repair ||
		r.RemoteIP != "192.0.2.2" || !slices.Equal(r.Roles, []string{"operator"}) || len(r.Scopes) != 2 || !r.At.Equal(time.UnixMilli(1795372949440)) {
		t.Errorf("request is %+v", r)
	}
	if p := paired[0]; p.ClientMode != "backend" || len(p.Tokens) != 1 || !p.Tokens[0].RevokedAt.IsZero() {
		t.Errorf("device is %+v", p)
	}
	_, paired, err = parseList([]byte(list906))
	if err != nil || len(paired) != 1 {
		t.Fatalf("got %v, %v", paired, err)
	}
	if p := paired[0]; p.DisplayName != "ops" || p.Tokens[0].RevokedAt.IsZero() {
		t.Errorf("device is %+v", p)
	}
}

func TestEntryThatCannotBeJudgedIsLeftOutAndTheOthersStay(t *testing.T) {
	good := `{"requestId":"good","deviceId":"d","publicKey":"k","scopes":["operator.read"]}`
	for name, bad := range map[string]string{
		"null": `null`, "text": `"x"`, "list": `[]`, "no device": `{"requestId":"r"}`,
		"no requestId":         `{"deviceId":"d"}`,
		"requestId with a gap": `{"requestId":"a b","deviceId":"d"}`,
		"a command for an id":  `{"requestId":"$(id)","deviceId":"d"}`,
		"scopes as text":       `{"requestId":"r","deviceId":"d","scopes":"operator.admin"}`,
		"a scope as number":    `{"requestId":"r","deviceId":"d","scopes":["operator.read",7]}`,
		"role as list":         `{"requestId":"r","deviceId":"d","role":["operator"]}`,
	} {
		pending, _, err := parseList([]byte(`{"pending":[` + bad + `,` + good + `],"paired":[` + bad + `]}`))
		if err != nil || len(pending) != 1 || pending[0].RequestID != "good" {
			t.Errorf("%s: got %+v, %v", name, pending, err)
		}
	}
}

// As a gateway that merges texts and lists has it, or a later one.
func TestAPairedDeviceThatCannotBeReadIsThere(t *testing.T) {
	request := asking(t, 1, nil)
	for name, fields := range map[string]string{
		"roles as text": `"roles":"operator","scopes":["operator.admin"]`, "scopes as text": `"roles":["operator"],"scopes":"operator.read"`,
		"a key as number": `"roles":["operator"],"publicKey":7`, "a role as list": `"role":["operator"]`,
		"tokens by their roles": `"roles":["operator"],"tokens":{"operator":{"revokedAtMs":1}}`, "a token as text": `"roles":["operator"],"tokens":["operator"]`,
		"a revocation as text": `"roles":["operator"],"tokens":[{"role":"operator","revokedAtMs":"yesterday"}]`,
		"one after all time":   `"roles":["operator"],"tokens":[{"role":"operator","revokedAtMs":1e17}]`,
	} {
		for id, policy := range map[string]Policy{
			"another":        readWritePolicy(rules(t, "first"), nil),
			request.DeviceID: readWritePolicy(rules(t, "token"), func(p *Policy) { p.Upgrades = true }),
		} {
			_, paired, err := parseList([]byte(`{"pending":[],"paired":[{"publicKey":"` + request.PublicKey + `","deviceId":"` + id + `",` + fields + `}]}`))
			in := situation{paired: map[string]Paired{}}
			for _, device := range paired {
				in.paired[device.DeviceID] = device
			}
			if v := policy.judge(request, in); err != nil || v.admits() {
				t.Errorf("%s: admitted by %s beside %+v, %v", name, v.rule, paired, err)
			}
		}
	}
}

func TestOddTextsDoNotHideADeviceAndAreFitToPrint(t *testing.T) {
	pending, _, err := parseList([]byte(`{"pending":[{"requestId":"r","deviceId":"d","displayName":"evil\u001b[31m\nname","platform":7,"silent":"yes","ts":"soon","role":"node","roles":["operator"]}]}`))
	if err != nil || len(pending) != 1 {
		t.Fatalf("got %v, %v", pending, err)
	}
	r := pending[0]
	if r.DisplayName != "evil[31m name" || r.Platform != "" || !r.At.IsZero() || !slices.Equal(r.Roles, []string{"operator", "node"}) {
		t.Errorf("request is %+v", r)
	}
}

func FuzzList(f *testing.F) {
	f.Add([]byte(list226))
	f.Add([]byte(list906))
	f.Add([]byte(`{"pending":[{"requestId":"r","deviceId":"d","ts":1e300}],"paired":[{"deviceId":"d","tokens":{"operator":{}}}]}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"pending":{},"paired":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		pending, paired, err := parseList(data)
		if err != nil {
			if pending != nil || paired != nil {
				t.Fatal("an error and a list")
			}
			return
		}
		for _, r := range pending {
			if !protocol.IsRequestID(r.RequestID) || r.DeviceID == "" || r.At.Year() > 9999 {
				t.Fatalf("request %+v", r)
			}
			if text := protocol.Clean(r.DisplayName); text != r.DisplayName && len(r.DisplayName) < 600 {
				t.Fatalf("unclean name %q", r.DisplayName)
			}
		}
		for _, p := range paired {
			if p.DeviceID == "" {
				t.Fatalf("device %+v", p)
			}
		}
	})
}
