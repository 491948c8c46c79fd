package health

import (
	"net/http"
	"strconv"
	"strings"
)

// Metric is one number, or one for each value of a label, in Prometheus's text format.
type Metric struct {
	Name, Help string
	// Counter: it only grows; else it is a gauge.
	Counter bool
	// Label is the name of the samples' label; empty where there is one sample without.
	Label   string
	Samples []Sample
}

// Sample is the value for one value of the label, which has to be one of few.
type Sample struct {
	Of    string
	Value float64
}

// textFormat is what Prometheus 0.4 to 3 reads.
const textFormat = "text/plain; version=0.0.4; charset=utf-8"

// Metrics answers GET /metrics with what collect returns, and hands every other
// request on. The format is written here: github.com/VictoriaMetrics/metrics 1.45
// adds 64 KiB to the program, and writes HELP lines without a text.
func Metrics(collect func() []Metric, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/metrics":
			next.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			answer(w, http.StatusMethodNotAllowed, State{"unknown", "ask with GET"})
		default:
			w.Header().Set("Content-Type", textFormat)
			_, _ = w.Write([]byte(exposition(collect())))
		}
	})
}

func exposition(metrics []Metric) string {
	var out strings.Builder
	inHelp, inValue := strings.NewReplacer(`\`, `\\`, "\n", `\n`), strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	for _, m := range metrics {
		kind := "gauge"
		if m.Counter {
			kind = "counter"
		}
		out.WriteString("# HELP " + m.Name + " " + inHelp.Replace(m.Help) + "\n# TYPE " + m.Name + " " + kind + "\n")
		for _, sample := range m.Samples {
			out.WriteString(m.Name)
			if m.Label != "" {
				out.WriteString("{" + m.Label + `="` + inValue.Replace(sample.Of) + `"}`)
			}
			out.WriteString(" " + strconv.FormatFloat(sample.Value, 'f', -1, 64) + "\n")
		}
	}
	return out.String()
}
