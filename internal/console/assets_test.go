package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The vendored htmx. To verify it against the package, run in an empty folder
//
//	npm pack htmx.org@2.0.11 && tar -xzf htmx.org-2.0.11.tgz && sha256sum package/dist/htmx.min.js
//
// npm checks the archive against the registry's SHA-512. To update: copy that file to static, then change
// the version and the hash here, and the version in static/README.md.
const (
	htmxVersion = "2.0.11"
	htmxSHA256  = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
)

func TestHTMX(t *testing.T) {
	text, err := fs.ReadFile(staticFiles, "static/htmx.min.js")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:]); got != htmxSHA256 {
		t.Errorf("SHA-256 of htmx.min.js = %s, want %s, that of htmx.org %s", got, htmxSHA256, htmxVersion)
	}
	if !strings.Contains(string(text), `version:"`+htmxVersion+`"`) {
		t.Errorf("htmx.min.js does not say that it is version %s", htmxVersion)
	}
	notes, err := os.ReadFile("static/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"htmx " + htmxVersion, "0BSD"} {
		if !strings.Contains(string(notes), want) {
			t.Errorf("static/README.md does not name %q", want)
		}
	}
}

// What the content security policy forbids is switched off, so that htmx does not even try.
func TestHTMXConfig(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal([]byte(HTMXConfig), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"allowEval": false, "allowScriptTags": false, "includeIndicatorStyles": false,
		"selfRequestsOnly": true, "historyCacheSize": 0.0, "refreshOnHistoryMiss": true,
	}
	for name, value := range want {
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
