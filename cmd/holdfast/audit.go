package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check that no entry was changed, removed or moved."`
	Export auditExportCmd `cmd:"" help:"Print the entries as JSON, one a line, with their hashes."`
}

type auditVerifyCmd struct {
	accountFlag
	File string `type:"existingfile" placeholder:"FILE" complete:"file" help:"Verify an export instead of the database."`
	JSON bool   `name:"json" help:"Print one JSON object with the chains as results."`
}

// verified is the result for one chain.
type verified struct {
	AccountID string `json:"account_id"`
	Entries   int64  `json:"entries"`
	OK        bool   `json:"ok"`
	LastEntry int64  `json:"last_entry,omitempty"` // of an export, which may begin in the middle
	Fault     string `json:"fault,omitempty"`

	err error
}

func (c *auditVerifyCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if c.File != "" {
		return c.verifyFile(std)
	}
	h, err := g.open(ctx, std)
	if err != nil {
		return err
	}
	defer h.close()
	chains := []string{c.Account}
	if c.Account == "" {
		if chains, err = h.db.AuditChains(ctx); err != nil {
			return fmt.Errorf("list audit chains: %w", err)
		}
	}
	var results []verified
	for _, id := range chains {
		if c.Account != "" {
			if _, err := h.db.Account(ctx, id); err != nil {
				return err
			}
		}
		good, err := h.db.VerifyAudit(ctx, id)
		if err != nil && !tampered(err) {
			return fmt.Errorf("verify audit chain of %s: %w", id, err)
		}
		results = append(results, verified{AccountID: id, Entries: good, OK: err == nil, err: err})
	}
	return c.tell(std, results)
}

// tampered tells what verification found from what kept it from looking.
func tampered(err error) bool {
	_, fault := errors.AsType[*audit.Fault](err)
	return fault || problem.Is(err, problem.Conflict)
}

// verifyFile checks an export as far as it goes: the links among each other. Only the database knows
// where the chain ends.
func (c *auditVerifyCmd) verifyFile(std stdio) error {
	f, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("open export: %w", err)
	}
	defer f.Close()
	head, good, err := audit.VerifyExport(f)
	if err != nil && !tampered(err) {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return c.tell(std, []verified{{AccountID: head.AccountID, Entries: good, OK: err == nil, LastEntry: head.Seq, err: err}})
}

func (c *auditVerifyCmd) tell(std stdio, results []verified) error {
	var broken []error
	for i, v := range results {
		if v.err != nil {
			results[i].Fault = v.err.Error()
			broken = append(broken, v.err)
		}
	}
	if c.JSON {
		all := map[string]any{"ok": len(broken) == 0, "results": results}
		if err := printJSON(std, all); err != nil {
			return err
		}
	} else {
		for _, v := range results {
			if v.OK {
				fmt.Fprintf(std.out, "%s: %s, the chain is whole\n", v.AccountID, plural(int(v.Entries), "entry", "entries"))
			} else {
				fmt.Fprintf(std.out, "%s: BROKEN after %s\n", v.AccountID, plural(int(v.Entries), "good entry", "good entries"))
			}
		}
	}
	if len(broken) > 0 {
		return &brokenError{errors.Join(broken...)}
	}
	return nil
}

type auditExportCmd struct {
	accountFlag
	System bool  `help:"Export the chain of what belongs to no account, such as requests of unknown clients."`
	After  int64 `help:"Begin after this entry number." default:"0"`
}

func (c *auditExportCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, err := g.open(ctx, std)
	if err != nil {
		return err
	}
	defer h.close()
	account := audit.System
	if !c.System {
		if account, err = h.account(ctx, c.Account); err != nil {
			return err
		}
	}
	by := operator(std)
	by.Action = audit.AuditExport
	if err := h.db.AppendAudit(ctx, account, by); err != nil {
		return fmt.Errorf("record the export: %w", err)
	}
	if _, err := audit.Export(std.out, h.db.AuditLinks(ctx, account, c.After)); err != nil {
		return fmt.Errorf("export audit log: %w", err)
	}
	return nil
}
