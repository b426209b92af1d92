package respond

// The jobs. The store enqueues them in the transaction that makes them due; [Service.Jobs] runs them. Their kinds
// and fields are stored, so they stay as they are.

// Do does a planned action, or finds out what became of one that was begun.
type Do struct {
	AccountID string `json:"account_id"`
	ActionID  string `json:"action_id"`
}

// Kind implements [jobs.Args].
func (Do) Kind() string { return "respond.do" }

// EndApproval ends an approval that nobody has answered in time.
type EndApproval struct {
	AccountID  string `json:"account_id"`
	ApprovalID string `json:"approval_id"`
}

// Kind implements [jobs.Args].
func (EndApproval) Kind() string { return "respond.end_approval" }

// EndQuestion ends a question that the person has not answered in time.
type EndQuestion struct {
	AccountID  string `json:"account_id"`
	QuestionID string `json:"question_id"`
}

// Kind implements [jobs.Args].
func (EndQuestion) Kind() string { return "respond.end_question" }

// EndHold ends the hold of an action at its time, if nothing keeps it.
type EndHold struct {
	AccountID string `json:"account_id"`
	ActionID  string `json:"action_id"`
}

// Kind implements [jobs.Args].
func (EndHold) Kind() string { return "respond.end_hold" }

// Send sends a message about a case through a channel (empty: all that take pages).
type Send struct {
	AccountID  string `json:"account_id"`
	CaseID     string `json:"case_id"`
	Channel    string `json:"channel"`
	Template   string `json:"template"`
	ActionID   string `json:"action_id,omitempty"`
	ApprovalID string `json:"approval_id,omitempty"`
	RunID      string `json:"run_id,omitempty"`
}

// Kind implements [jobs.Args].
func (Send) Kind() string { return "respond.send" }
