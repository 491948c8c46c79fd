package approve

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// BenchmarkKnockToApproved is our share of an approval, with a gateway that
// takes no time: event, list, verdict, memory and audit on disk, approval.
func BenchmarkKnockToApproved(b *testing.B) {
	for name, rule := range map[string]string{"token": "token", "cidr": "cidr:192.0.2.0/24"} {
		b.Run(name, func(b *testing.B) {
			l := openLobby(b)
			dir := b.TempDir()
			g := newGuard(b, l, dir, readWritePolicy(rules(b, rule), nil))
			g.options.Audit = func(r Record) error {
				line, err := json.Marshal(r)
				if err != nil {
					return err
				}
				return atomicfile.Append(filepath.Join(dir, "audit.jsonl"), append(line, '\n'))
			}
			done := make(chan bool)
			g.options.Report = func(Record) { done <- true }
			g.start(b)
			b.ResetTimer()
			for i := range b.N {
				b.StopTimer()
				r := asking(b, 1, func(r *Request) { r.RequestID = fmt.Sprint("request-", i) })
				l.mu.Lock()
				l.paired = nil
				l.mu.Unlock()
				b.StartTimer()
				l.knock(r)
				<-done
			}
		})
	}
}

// BenchmarkAnEventAmongTenThousand is what one new request costs where as many are
// pending that nobody admits: the gateway has no shorter answer than all of them.
func BenchmarkAnEventAmongTenThousand(b *testing.B) {
	l := openLobby(b)
	for _, r := range crowd(b, 10000, func(r *Request) { r.Scopes = []string{"operator.admin"} }) {
		l.pending = append(l.pending, wireEntry(r))
	}
	g := newGuard(b, l, b.TempDir(), readWritePolicy(rules(b, "token"), nil))
	done := make(chan bool)
	g.options.Report = func(r Record) {
		if strings.HasPrefix(r.RequestID, "good-") {
			done <- true
		}
	}
	g.start(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		l.knock(asking(b, 200, func(r *Request) { r.RequestID = fmt.Sprint("good-", i) }))
		<-done
		b.StopTimer()
		l.mu.Lock()
		l.paired = nil
		l.mu.Unlock()
		b.StartTimer()
	}
}
