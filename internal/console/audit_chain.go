package console

import (
	"net/http"
	"sync"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/web"
)

// chainStates remember for a few seconds whether the chain of an account is whole: every page says so if
// it is not.
type chainStates struct {
	verifying sync.Mutex // held while a whole chain is read

	mu    sync.Mutex
	known map[string]chainState // by account
}

type chainState struct {
	broken bool
	at     time.Time
}

const (
	chainKnownFor = 5 * time.Second
	chainsKnown   = 1000 // more accounts than that are not remembered
)

func (s *chainStates) know(account string, status audit.Status, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= chainsKnown {
		s.known = map[string]chainState{}
	}
	s.known[account] = chainState{status.Broken != "", now}
}

func (s *chainStates) get(account string, now time.Time) (broken, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.known[account]
	return state.broken, ok && now.Sub(state.at) < chainKnownFor
}

// chainBroken reports whether the audit log of who looks was changed, as far as was found.
func (c *Console) chainBroken(r *http.Request) (bool, error) {
	account := me(r).AccountID
	if c.Audit == nil || account == "" {
		return false, nil
	}
	if broken, known := c.chains.get(account, c.Now()); known {
		return broken, nil
	}
	status, err := c.Audit.AuditStatus(r.Context(), account)
	if err != nil {
		return false, err
	}
	c.chains.know(account, status, c.Now())
	return status.Broken != "", nil
}

// How long an answer may take that reads a whole chain, and how long each part of an export may.
const (
	verifyLimit = 10 * time.Minute
	partLimit   = time.Minute
)

// longer gives the answer more time than others have. Where that cannot be, it has what others have.
func longer(w http.ResponseWriter, until time.Time) {
	_ = http.NewResponseController(w).SetWriteDeadline(until)
}

// exportAudit answers with the whole chain as JSON, one entry a line. That it was asked for is its last entry.
func (c *Console) exportAudit(w http.ResponseWriter, r *http.Request) error {
	account := me(r).AccountID
	if err := c.Audit.AppendAudit(r.Context(), account, audit.By(r, audit.AuditExport, "")); err != nil {
		return err
	}
	web.RecordOf(r.Context()).Target = "audit"
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Content-Disposition", `attachment; filename="holdfast-audit-`+account+"-"+c.Now().UTC().Format("2006-01-02")+`.jsonl"`)
	out := &export{w: w, now: c.Now, lines: make([]byte, 0, exportPart)}
	if _, err := audit.Export(out, c.Audit.AuditLinks(r.Context(), account, 0)); err != nil {
		if !out.begun {
			h.Del("Content-Type")
			h.Del("Content-Disposition")
			return err
		}
		// The answer cannot be taken back, and its end would look like the end of the log. This line is none of it.
		_, _ = w.Write([]byte(`{"error":"the export ended early; export again"}` + "\n"))
		return err
	}
	return out.flush()
}

// export gathers lines to larger parts, each of which has time of its own to be read.
type export struct {
	w     http.ResponseWriter
	now   func() time.Time
	lines []byte
	begun bool
}

const exportPart = 64 << 10 // bytes

func (e *export) Write(line []byte) (int, error) {
	e.lines = append(e.lines, line...)
	if len(e.lines) < exportPart {
		return len(line), nil
	}
	return len(line), e.flush()
}

func (e *export) flush() error {
	longer(e.w, e.now().Add(partLimit))
	e.begun = true
	_, err := e.w.Write(e.lines)
	e.lines = e.lines[:0]
	return err
}
