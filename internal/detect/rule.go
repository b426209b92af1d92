package detect

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
)

// Rule is one document of a rule file: a Sigma rule, or a correlation of rules.
type Rule struct {
	// File and Line are where the document begins.
	File string
	Line int
	Text string // the document as it is written

	ID, Name, Title string
	Status          Status
	Level           Level
	Description     string
	Author, License string
	Date, Modified  string // YYYY-MM-DD
	Taxonomy        string // whose field names the rule uses; empty is "sigma"
	References      []string
	Tags            []string // "attack.t1110.003"
	FalsePositives  []string
	Fields          []string // of interest to whoever looks at a finding
	Scope           []string
	Related         []Related
	LogSource       LogSource
	Explain         map[string]Template // the sentence of a finding, by language: "en", "de"

	Correlation *Correlation // nil for a rule on single events

	detection *detection // nil for a correlation
	places    rulePlaces
	tuned     tuned
}

// rulePlaces is where a later step, which sees more than one document, finds fault.
type rulePlaces struct {
	id, name, status, taxonomy, logsource, condition pos
	explain                                          map[string]pos
}

// Key is what the rule is called where one word is needed: its name, its id, or its title.
func (r *Rule) Key() string { return cmp.Or(r.Name, r.ID, r.Title) }

// Version tells one wording of a rule from another: twelve hexadecimal digits of the hash of its text, and
// of how an account has set it.
func (r *Rule) Version() string {
	sum := sha256.Sum256([]byte(r.Text + r.tuned.as))
	return hex.EncodeToString(sum[:6])
}

// Related is a rule that this one has to do with.
type Related struct {
	ID   string
	Type string // derived, obsolete, merged, renamed, similar
}

// Status is how far a rule has come.
type Status string

// The statuses of Sigma.
const (
	Stable       Status = "stable"
	Test         Status = "test"
	Experimental Status = "experimental"
	Deprecated   Status = "deprecated"
	Unsupported  Status = "unsupported"
)

// Level is how bad it is if the rule matches.
type Level string

// The levels of Sigma, from least to worst. A rule may have none.
const (
	Informational Level = "informational"
	Low           Level = "low"
	Medium        Level = "medium"
	High          Level = "high"
	Critical      Level = "critical"
)

func statuses() []string {
	return []string{string(Stable), string(Test), string(Experimental), string(Deprecated), string(Unsupported)}
}

func levels() []string {
	return []string{string(Informational), string(Low), string(Medium), string(High), string(Critical)}
}
