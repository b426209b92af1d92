package store

import (
	"encoding/json"
	"time"

	"holdfast/internal/detect"
)

const caseFindingColumns = "account_id, seq, id, rule, rule_id, version, level, title, person, person_id, user_name, address, subject, key, at, last_at, count, more, state, case_id, created_at"

func scanCaseFinding(r scanner) (detect.StoredFinding, error) {
	var f detect.StoredFinding
	var a, l, c int64
	var key string
	err := r.Scan(&f.AccountID, &f.Seq, &f.ID, &f.Rule, &f.RuleID, &f.Version, &f.Level, &f.Title, &f.Person, &f.PersonID, &f.User, &f.Address, &f.Subject, &key, &a, &l, &f.Count, &f.More, &f.State, &f.CaseID, &c)
	f.Time, f.Last, f.CreatedAt = time.UnixMicro(a).UTC(), time.UnixMicro(l).UTC(), time.UnixMicro(c).UTC()
	_ = json.Unmarshal([]byte(key), &f.Key)
	return f, err
}
