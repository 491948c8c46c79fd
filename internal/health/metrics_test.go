package health

import (
	"bufio"
	"io"
	"net/http"
	"testing"

	"github.com/prometheus/common/expfmt"
)

func scraped(t *testing.T, in *bufio.Reader) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestPrometheusReadsTheMetrics(t *testing.T) {
	odd := "a \\ back\nslash and \"quotes\""
	address := serve(t, Metrics(func() []Metric {
		return []Metric{
			{Name: "x_total", Help: odd, Counter: true, Label: "rule", Samples: []Sample{{odd, 3}, {"token+cidr", 0}}},
			{Name: "x_timestamp_seconds", Help: "when", Samples: []Sample{{Value: 1796040000.125}}},
			{Name: "x_none_total", Help: "no rule is set", Counter: true, Label: "rule"},
		}
	}, alive()))
	response := scraped(t, open(t, address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))
	if format := expfmt.ResponseFormat(response.Header); format.FormatType() != expfmt.TypeTextPlain || response.StatusCode != 200 {
		t.Errorf("%d, %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
	families, err := new(expfmt.TextParser).TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	counter, when := families["x_total"], families["x_timestamp_seconds"]
	if len(counter.GetMetric()) != 2 || counter.GetHelp() != odd || counter.GetMetric()[0].GetLabel()[0].GetValue() != odd ||
		counter.GetMetric()[0].GetCounter().GetValue() != 3 {
		t.Errorf("got %v", counter)
	}
	if when.GetMetric()[0].GetGauge().GetValue() != 1796040000.125 {
		t.Errorf("got %v", when)
	}
}

func TestBesideTheMetricsAllIsAsBefore(t *testing.T) {
	address := serve(t, Metrics(func() []Metric { return nil }, alive()))
	if code, body := get(t, address, "/livez"); code != 200 || body != `{"status":"ok","message":"ok"}`+"\n" {
		t.Errorf("/livez: %d %q", code, body)
	}
	if code, _ := get(t, address, "/metrics/"); code != http.StatusNotFound {
		t.Errorf("/metrics/: %d", code)
	}
	response := scraped(t, open(t, address, "POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n"))
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d, %v", response.StatusCode, err)
	}
}
