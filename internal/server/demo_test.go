package server_test

import (
	"testing"
	"time"

	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
)

// TestDemoHistory is about the made-up company's last month: it is believable, and has what a newcomer is to find.
func TestDemoHistory(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	d, err := in.SeedDemo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in.Secrets.Learn(d.Password.Reveal())
	in.Secrets.Learn(d.Credentials.Secret.Reveal())
	count := map[signin.Category]int{}
	people := map[string]bool{}
	var before time.Time
	n := 0
	for after := int64(0); ; {
		page, err := in.Store().FeedAttempts(t.Context(), d.Account.ID, after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			after = a.Seq
			n++
			count[signin.Category(a.Category)]++
			people[a.User.ID] = true
			if a.At.Before(before) || a.At.After(time.Now()) || a.At.Before(time.Now().AddDate(0, 0, -31)) {
				t.Fatalf("attempt %d is of %s, after one of %s", a.Seq, a.At, before)
			}
			before = a.At
			if a.Location.Country == "" || a.Client.Platform == "" || a.User.Email == "" {
				t.Fatalf("attempt %d: %+v", a.Seq, a)
			}
		}
	}
	if n != d.Attempts || n < 2000 || n > 8000 || len(people) < d.People*9/10 {
		t.Errorf("%d attempts of %d people, said to be %d of %d", n, len(people), d.Attempts, d.People)
	}
	if share := float64(count[signin.Success]) / float64(n); share < 0.8 || share > 0.98 {
		t.Errorf("%.0f %% of the attempts went well", 100*share)
	}
	if count[signin.FirewallReported] == 0 {
		t.Error("no rule of the demo has reported anything")
	}
}
