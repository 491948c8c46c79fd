package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/rogpeppe/go-internal/testscript"
)

// metric SERIES VALUE waits until /metrics at $HEALTH_PORT has the series, such as
// name{label="of"}, with the value; "now" is a time of the last hour. What was read
// is then standard output.
func metric(ts *testscript.TestScript, _ bool, args []string) {
	url := "http://127.0.0.1:" + ts.Getenv("HEALTH_PORT") + "/metrics"
	var got string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		body, value, err := scrape(url, args[0])
		got = fmt.Sprint(value, " ", err)
		age := time.Since(time.UnixMilli(int64(1000 * value)))
		if err == nil && (args[1] == strconv.FormatFloat(value, 'f', -1, 64) || args[1] == "now" && age >= 0 && age < time.Hour) {
			fmt.Fprint(ts.Stdout(), body)
			return
		}
	}
	ts.Fatalf("%s is %s, not %s, after %s", args[0], got, args[1], patience)
}

// scrape reads a series with Prometheus's own parser.
func scrape(url, series string) (body string, value float64, err error) {
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}).Get(url)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", 0, err
	}
	if format := expfmt.ResponseFormat(response.Header); format.FormatType() != expfmt.TypeTextPlain {
		return "", 0, fmt.Errorf("a scraper would not take %s", response.Header.Get("Content-Type"))
	}
	families, err := new(expfmt.TextParser).TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		return "", 0, err
	}
	name, _, _ := strings.Cut(series, "{")
	for _, m := range families[name].GetMetric() {
		if seriesOf(name, m) == series {
			return string(text), m.GetCounter().GetValue() + m.GetGauge().GetValue(), nil
		}
	}
	return "", 0, errors.New("absent")
}

func seriesOf(name string, m *dto.Metric) string {
	for _, label := range m.GetLabel() {
		name += fmt.Sprintf("{%s=%q}", label.GetName(), label.GetValue())
	}
	return name
}
