package signals_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/internal/signals"
	"holdfast/internal/store/storetest"
	"holdfast/internal/web"
)

// BenchmarkPush is a delivery of 1,000 sign-ins, from the signature to the disk, on SQLite.
func BenchmarkPush(b *testing.B) {
	db := storetest.NewPlace(b, "sqlite").Open(b)
	account, _ := storetest.Account(b, db)
	for i := range 500 {
		storetest.User(b, db, account.ID, fmt.Sprintf("p%d@example.org", i))
	}
	intake := &signals.Intake{Store: db, Keys: db.Keys(), URL: "http://127.0.0.1", Now: time.Now}
	made, err := intake.Add(b.Context(), account.ID, signals.NewSource{Kind: signals.KindOnePassword, Name: "Cloud"}, storetest.By())
	if err != nil {
		b.Fatal(err)
	}
	h, err := web.New(web.Config{Routes: intake.Routes(), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(made.Secret.Reveal(), "whsec_"))
	if err != nil {
		b.Fatal(err)
	}
	const events = 1000
	n := 0
	for b.Loop() {
		b.StopTimer()
		var body strings.Builder
		for range events {
			n++
			fmt.Fprintf(&body, `{"uuid":"EVENT%021d","session_uuid":"SESSION%019d","timestamp":"2026-11-20T10:00:00.123456Z","country":"DE","category":"success","type":"credentials_ok","details":null,`+
				`"target_user":{"uuid":"OTHER%021d","name":"Mira Oduya","email":"p%d@example.org"},"client":{"app_name":"1Password Browser Extension","app_version":"20240","platform_name":"Chrome",`+
				`"platform_version":"131.0","os_name":"MacOSX","os_version":"15.1","ip_address":"198.51.100.%d"},"location":{"country":"DE","region":"Hamburg","city":"Hamburg","latitude":53.55,"longitude":9.99}}`+"\n",
				n, n, n%500, n%500, n%250)
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/accounts/"+account.ID+"/signals/"+made.Setup.ID, strings.NewReader(body.String()))
		id, at := "m"+strconv.Itoa(n), strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, at, body.String())
		r.Header.Set("Webhook-Id", id)
		r.Header.Set("Webhook-Timestamp", at)
		r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		w := httptest.NewRecorder()
		b.StartTimer()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusAccepted || !strings.HasPrefix(w.Body.String(), `{"accepted":1000,`) {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
}
