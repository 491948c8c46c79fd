package probe

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
)

func options(t testing.TB, auth Auth) Options {
	t.Helper()
	id, err := identity.FromSeed(make([]byte, 32), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		URL: "ws://127.0.0.1:1", Auth: auth, Identity: id, DeviceToken: "device-secret",
		GatewayToken: "gateway-secret", Scopes: []string{"operator.read"},
	}
}

// script is a gateway that gives one answer after another (the last one for
// ever) under a clock that only pauses move.
type script struct {
	answers    []error
	hello      *protocol.Hello
	now        time.Time
	pauses     []time.Duration
	signatures []protocol.Signature
	// startup is how often the gateway says that it is starting; asked counts.
	startup, asked int
}

func (s *script) run(opts Options) Verdict {
	r := runner{
		opts: opts.withDefaults(),
		now:  func() time.Time { return s.now },
		pause: func(_ context.Context, d time.Duration) error {
			s.pauses = append(s.pauses, d)
			s.now = s.now.Add(d)
			return nil
		},
		connect: func(_ context.Context, _ Options, signature protocol.Signature) (*protocol.Hello, error) {
			s.signatures = append(s.signatures, signature)
			err := s.answers[min(len(s.signatures), len(s.answers))-1]
			if err != nil {
				return nil, err
			}
			return s.hello, nil
		},
		starting: func(context.Context, Options) bool {
			s.asked++
			return s.asked <= s.startup
		},
	}
	return r.run(context.Background())
}

func transport(kind protocol.TransportKind) error {
	return &protocol.TransportError{Kind: kind, URL: "ws://127.0.0.1:1", Err: errors.New(string(kind))}
}

func status(code int) error {
	return &protocol.TransportError{Kind: protocol.HTTP, Status: code, Err: errors.New("HTTP")}
}

func refusal(kind protocol.RefusalKind) *protocol.Refusal {
	return &protocol.Refusal{Kind: kind, Message: string(kind), CloseCode: 1008}
}

func proven() *protocol.Hello {
	return &protocol.Hello{Protocol: 4, Auth: protocol.HelloAuth{
		Role: "operator", Scopes: []string{"operator.read"}, DeviceToken: "device-secret",
	}}
}

// The gateway that asks for 500 ms has, by then, been ready for half of them.
func TestAGatewayOfOursIsAskedAgainSoon(t *testing.T) {
	starting := refusal(protocol.Starting)
	starting.RetryAfterMs = 500
	opts := options(t, AuthDevice)
	opts.Wait, opts.Started = time.Minute, true
	absent := transport(protocol.Refused)
	s := &script{answers: []error{absent, absent, absent, starting, starting, transport(protocol.Lost), nil}, hello: proven()}
	if v := s.run(opts); !v.OK {
		t.Fatalf("not proven: %+v", v)
	}
	soon := 100 * time.Millisecond
	// What is no boot is not asked for more often.
	if want := []time.Duration{soon, soon, soon, soon, soon, time.Second}; !slices.Equal(s.pauses, want) {
		t.Errorf("paused %v, want %v", s.pauses, want)
	}
}

// A handshake that 2026.9.6 puts off costs it up to a second of its start.
func TestAGatewayOfOursThatStartsIsSparedHandshakes(t *testing.T) {
	opts := options(t, AuthDevice)
	opts.Wait = time.Minute
	s := &script{answers: []error{nil}, hello: proven(), startup: 20}
	if v := s.run(opts); !v.OK || s.asked != 0 {
		t.Errorf("another's gateway was asked %d times: %+v", s.asked, v)
	}
	opts.Started = true
	s = &script{answers: []error{nil}, hello: proven(), startup: 20}
	if v := s.run(opts); !v.OK || len(s.signatures) != 1 || s.asked != 21 {
		t.Errorf("asked %d times, %d handshakes: %+v", s.asked, len(s.signatures), v)
	}
	if s.now.Sub(time.Time{}) != 20*firstPause {
		t.Errorf("ready after 20 pauses, seen after %v", s.now.Sub(time.Time{}))
	}
	// A single try is one.
	single := opts
	single.Wait = 0
	s = &script{answers: []error{nil}, hello: proven(), startup: 20}
	if v := s.run(single); !v.OK || len(s.signatures) != 1 || s.asked != 0 {
		t.Errorf("asked %d times, %d handshakes: %+v", s.asked, len(s.signatures), v)
	}
	// One that says so for ever is tried all the same, every five seconds.
	s = &script{answers: []error{refusal(protocol.Starting), refusal(protocol.Starting), nil}, hello: proven(), startup: 1e6}
	if v := s.run(opts); !v.OK || len(s.signatures) != 3 {
		t.Errorf("%d handshakes: %+v", len(s.signatures), v)
	}
	if took := s.now.Sub(time.Time{}); took < 3*startupTrust || took > 4*startupTrust {
		t.Errorf("three handshakes within %v", took)
	}
}

func TestProbeRetriesOnlyWhatPassesByItself(t *testing.T) {
	starting := refusal(protocol.Starting)
	for name, test := range map[string]struct {
		err     error
		retried bool
	}{
		"nobody listens":          {transport(protocol.Refused), true},
		"connection reset":        {transport(protocol.Lost), true},
		"no answer":               {transport(protocol.Timeout), true},
		"name not there yet":      {transport(protocol.Name), true},
		"no route yet":            {transport(protocol.Unroutable), true},
		"proxy without a gateway": {status(502), true},
		"gateway starting":        {starting, true},
		"handler died":            {refusal(protocol.InternalClose), true},
		"certificate not trusted": {transport(protocol.TLS), false},
		"no gateway":              {transport(protocol.NotGateway), false},
		"bad URL":                 {transport(protocol.BadURL), false},
		"not found":               {status(404), false},
		"forbidden":               {status(403), false},
		"too many requests":       {status(429), false},
		"not paired":              {refusal(protocol.NotPaired), false},
		"scope upgrade":           {refusal(protocol.ScopeUpgrade), false},
		"token scope":             {refusal(protocol.TokenScope), false},
		"gateway token wrong":     {refusal(protocol.AuthToken), false},
		"gateway auth setup":      {refusal(protocol.AuthSetup), false},
		"device token wrong":      {refusal(protocol.DeviceToken), false},
		"rate limited":            {refusal(protocol.RateLimited), false},
		"signature refused":       {refusal(protocol.DeviceAuth), false},
		"protocol":                {refusal(protocol.Protocol), false},
		"schema":                  {refusal(protocol.Schema), false},
		"auth changed":            {refusal(protocol.AuthChanged), false},
		"origin":                  {refusal(protocol.Origin), false},
		"unknown":                 {refusal(protocol.Unknown), false},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t, AuthDevice)
			opts.Wait = time.Minute
			s := &script{answers: []error{test.err, nil}, hello: proven()}
			v := s.run(opts)
			if retried := len(s.pauses) == 1 && v.OK; retried != test.retried {
				t.Errorf("retried is %v after %d attempts: %+v", retried, v.Attempts, v)
			}
		})
	}
}

func TestPausesGrowToOneSecondAndStopAtTheDeadline(t *testing.T) {
	opts := options(t, AuthDevice)
	opts.Wait = 3 * time.Second
	var told []Waiting
	opts.Progress = func(w Waiting) { told = append(told, w) }
	s := &script{answers: []error{transport(protocol.Refused)}}
	v := s.run(opts)
	want := []time.Duration{100, 200, 400, 800, 1000, 500}
	for i := range want {
		want[i] *= time.Millisecond
	}
	if !reflect.DeepEqual(s.pauses, want) {
		t.Errorf("pauses are %v", s.pauses)
	}
	if v.Outcome != Unreachable || v.Attempts != 7 || v.ElapsedMs != 3000 {
		t.Errorf("verdict is %+v", v)
	}
	if len(told) != 6 || told[1].Elapsed != 100*time.Millisecond || told[1].Remaining != 2900*time.Millisecond {
		t.Errorf("progress was %+v", told)
	}
}

func TestPauseIsAsLongAsTheGatewayAsksWithinReason(t *testing.T) {
	for asked, want := range map[int64]time.Duration{
		0: 100 * time.Millisecond, 50: 100 * time.Millisecond, 500: 500 * time.Millisecond, 3_600_000: 5 * time.Second,
	} {
		opts := options(t, AuthDevice)
		opts.Wait = time.Minute
		starting := refusal(protocol.Starting)
		starting.RetryAfterMs = asked
		s := &script{answers: []error{starting, nil}, hello: proven()}
		if s.run(opts); s.pauses[0] != want {
			t.Errorf("asked %d ms, paused %s", asked, s.pauses[0])
		}
	}
}

func TestWithoutWaitThereIsOneTry(t *testing.T) {
	for err, want := range map[error]Outcome{
		transport(protocol.Refused): Unreachable,
		transport(protocol.Lost):    Unreachable,
		refusal(protocol.Starting):  StillStarting,
	} {
		s := &script{answers: []error{err}}
		v := s.run(options(t, AuthDevice))
		if v.Outcome != want || v.Attempts != 1 || len(s.pauses) != 0 {
			t.Errorf("%v gives %+v", err, v)
		}
	}
}

func TestGatewayThatBeganToStartIsStillStartingWhateverCameLast(t *testing.T) {
	opts := options(t, AuthDevice)
	opts.Wait = time.Second
	s := &script{answers: []error{transport(protocol.Refused), refusal(protocol.Starting), transport(protocol.Timeout)}}
	if v := s.run(opts); v.Outcome != StillStarting {
		t.Errorf("verdict is %+v", v)
	}
}

func TestHandlerThatKeepsDyingIsReportedAfterThreeTries(t *testing.T) {
	opts := options(t, AuthDevice)
	opts.Wait = time.Hour
	s := &script{answers: []error{&protocol.Refusal{Kind: protocol.InternalClose, CloseCode: 1000}}}
	if v := s.run(opts); v.Outcome != NotPaired || v.Attempts != maxInternalCloses {
		t.Errorf("verdict is %+v", v)
	}
}

func TestOldGatewayIsAskedOnceMoreWithTheOlderSignature(t *testing.T) {
	rejected := &protocol.Refusal{Kind: protocol.DeviceAuth, Message: "device signature invalid", CloseCode: 1008}
	s := &script{answers: []error{rejected, nil}, hello: proven()}
	if v := s.run(options(t, AuthDevice)); !v.OK || v.Attempts != 2 || len(s.pauses) != 0 {
		t.Errorf("verdict is %+v", v)
	}
	s = &script{answers: []error{rejected}}
	v := s.run(options(t, AuthDevice))
	want := []protocol.Signature{protocol.SignatureV3, protocol.SignatureV2}
	if v.Outcome != DeviceAuth || !reflect.DeepEqual(s.signatures, want) {
		t.Errorf("signatures %v, verdict %+v", s.signatures, v)
	}
}

func TestExpiredSignatureIsNotTriedAgain(t *testing.T) {
	s := &script{answers: []error{&protocol.Refusal{
		Kind: protocol.DeviceAuth, Message: "device signature expired", DetailCode: "DEVICE_AUTH_SIGNATURE_EXPIRED",
	}}}
	if v := s.run(options(t, AuthDevice)); v.Attempts != 1 || v.Outcome != DeviceAuth {
		t.Errorf("verdict is %+v", v)
	}
}

func TestCallerThatGivesUpGetsAVerdict(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	opts := options(t, AuthDevice)
	opts.Wait = time.Hour
	opts.Progress = func(Waiting) { cancel() }
	if v := Run(ctx, opts); v.Outcome != Unreachable || v.Attempts != 1 {
		t.Errorf("verdict is %+v", v)
	}
}
