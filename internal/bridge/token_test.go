package bridge

import (
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

// tokensWanted asks at once, as many clients that connect do, what each has to
// show.
func tokensWanted(bundle seed.Bundle) (tokens [8]string, errs [8]error) {
	var together sync.WaitGroup
	for i := range tokens {
		together.Go(func() { tokens[i], errs[i] = wantedToken(Options{OwnTokens: true}, bundle) })
	}
	together.Wait()
	return tokens, errs
}

func TestABridgeTokenIsMadeOnceHoweverManyAskForIt(t *testing.T) {
	for range 20 {
		bundle := makeBundle(t, t.TempDir(), "agent-1", "operator.read")
		for _, when := range []string{"made", "there already"} {
			tokens, errs := tokensWanted(bundle)
			for i := range tokens {
				// An empty one would let in anybody.
				if errs[i] != nil || len(tokens[i]) != 43 || tokens[i] != tokens[0] {
					t.Fatalf("%s: the token has %d characters, %v", when, len(tokens[i]), errs[i])
				}
			}
		}
	}
}

func TestABridgeTokenThatIsThereCostsNoWrite(t *testing.T) {
	bundle := makeBundle(t, t.TempDir(), "agent-1", "operator.read")
	var changed [2]os.FileInfo
	for i := range changed {
		if _, err := wantedToken(Options{OwnTokens: true}, bundle); err != nil {
			t.Fatal(err)
		}
		var err error
		if changed[i], err = os.Stat(bundle.Dir); err != nil {
			t.Fatal(err)
		}
	}
	if !changed[0].ModTime().Equal(changed[1].ModTime()) {
		t.Error("a file was made in the bundle")
	}
}

func TestAClientWithATokenOfItsOwnHasToShowIt(t *testing.T) {
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), func(o *Options, _ *Bridge) { o.OwnTokens = true })
	bundle := makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	if got := p.closed(); got.Code != 1008 || len(b.seen(LetIn)) > 0 {
		t.Fatalf("closed with %d %q", got.Code, got.Reason)
	}
	own, err := Token(bundle)
	if err != nil {
		t.Fatal(err)
	}
	b.dial(t, "/agent-1", http.Header{"Authorization": {"Bearer " + own}}).letIn()
}
