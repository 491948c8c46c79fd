package settings_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/settings"
)

func TestApproveBrowserIsOneBrowserForTenMinutes(t *testing.T) {
	old := gateway.Release{Known: true, Version: gateway.Version{Year: 2026, Month: 5, Patch: 28}}
	asked := []string{"operator.admin", "operator.approvals", "operator.pairing", "operator.read", "operator.write"}
	s, err := settings.Load(map[string]string{"BOOTSTRAP_APPROVE": "first", "BOOTSTRAP_APPROVE_BROWSER": "true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := s.ApprovalPolicy(old)
	if policy.Max != 1 || policy.For != 10*time.Minute || !reflect.DeepEqual(policy.Scopes, asked) ||
		!reflect.DeepEqual(policy.Clients, []string{"openclaw-control-ui/webchat"}) || policy.Role != "operator" {
		t.Errorf("got %+v", policy)
	}
	s.ApproveMax, s.ApproveFor = 3, time.Hour
	if policy := s.ApprovalPolicy(old); policy.Max != 3 || policy.For != time.Hour {
		t.Errorf("what was said otherwise does not count: %+v", policy)
	}
}

func TestApproveBrowserSaysWhatItDoesNotGoWith(t *testing.T) {
	for variable, c := range map[string]struct{ value, want string }{
		"BOOTSTRAP_APPROVE":        {"", "say who may come with it"},
		"BOOTSTRAP_APPROVE_SCOPES": {"operator.read", "BOOTSTRAP_APPROVE_SCOPES and --approve-browser"},
		"BOOTSTRAP_APPROVE_CLIENT": {"cli/cli", "BOOTSTRAP_APPROVE_CLIENT and --approve-browser"},
		"BOOTSTRAP_APPROVE_ROLE":   {"node", "a browser is an operator"},
	} {
		environ := map[string]string{"BOOTSTRAP_APPROVE": "token", "BOOTSTRAP_APPROVE_BROWSER": "true"}
		environ[variable] = c.value
		if _, err := settings.Load(environ, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: got %v", variable, c.value, err)
		}
	}
}
