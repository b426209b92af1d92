package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"holdfast/internal/audit"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check that no entry was changed, removed or moved."`
	Export auditExportCmd `cmd:"" help:"Print the entries as JSON, one a line, with their hashes."`
}

type auditVerifyCmd struct {
	accountFlag
	File string `type:"existingfile" placeholder:"FILE" help:"Verify an export instead of the database."`
	JSON bool   `name:"json" help:"Print one JSON object a chain."`
}

// verified is the result for one chain.
type verified struct {
	AccountID string `json:"account_id"`
	Entries   int64  `json:"entries"`
	OK        bool   `json:"ok"`
	Fault     string `json:"fault,omitempty"`
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
	var broken []error
	for _, id := range chains {
		head, err := h.db.AuditHead(ctx, id)
		var good int64
		if err == nil {
			good, err = audit.Verify(h.db.AuditLinks(ctx, id, 0), head)
		}
		if err := c.print(std, verified{AccountID: id, Entries: good, OK: err == nil}, err); err != nil {
			return err
		}
		if err != nil {
			broken = append(broken, err)
		}
	}
	if len(broken) > 0 {
		return &brokenError{errors.Join(broken...)}
	}
	return nil
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
	if perr := c.print(std, verified{AccountID: head.AccountID, Entries: good, OK: err == nil}, err); perr != nil {
		return perr
	}
	if err != nil {
		return &brokenError{err}
	}
	return nil
}

func (c *auditVerifyCmd) print(std stdio, v verified, err error) error {
	if err != nil {
		v.Fault = err.Error()
	}
	if c.JSON {
		return printJSON(std, v)
	}
	if v.OK {
		fmt.Fprintf(std.out, "%s: %d entries, the chain is whole\n", v.AccountID, v.Entries)
	} else {
		fmt.Fprintf(std.out, "%s: BROKEN after %d good entries\n", v.AccountID, v.Entries)
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
