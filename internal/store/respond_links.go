package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

// AddLink implements [respond.Store].
func (db *DB) AddLink(ctx context.Context, l respond.Link) error {
	return db.do(ctx, l.AccountID, durable, func(tx *Tx) error {
		if _, err := readApproval(tx, l.AccountID, l.ApprovalID); err != nil {
			return err
		}
		_, err := tx.exec("INSERT INTO approval_links (hash, account_id, approval_id, user_id, expires_at) VALUES ($1, $2, $3, $4, $5)",
			l.Hash, l.AccountID, l.ApprovalID, l.UserID, l.ExpiresAt.UnixMicro())
		if err != nil {
			return fmt.Errorf("add link: %w", err)
		}
		return nil
	})
}

const linkByHash = "SELECT account_id, approval_id, user_id, expires_at, used_at FROM approval_links WHERE hash = $1"

func scanApprovalLink(hash []byte) func(scanner) (respond.Link, error) {
	return func(r scanner) (respond.Link, error) {
		l := respond.Link{Hash: hash}
		var expires int64
		var used sql.NullInt64
		err := r.Scan(&l.AccountID, &l.ApprovalID, &l.UserID, &expires, &used)
		l.ExpiresAt, l.UsedAt = time.UnixMicro(expires).UTC(), at(used)
		return l, err
	}
}

func errNoApprovalLink() *problem.Error {
	return problem.Coded(problem.NotFound, "no_link", "the link is not one of ours, or its approval is gone; sign in to answer")
}

// approvalLink reads a link by the hash of its token.
func (db *DB) approvalLink(ctx context.Context, hash []byte) (respond.Link, error) {
	rows, err := db.query(ctx, linkByHash, hash)
	l, ok, err := one(rows, err, scanApprovalLink(hash))
	if err != nil {
		return l, fmt.Errorf("read link: %w", err)
	}
	if !ok {
		return l, errNoApprovalLink()
	}
	return l, nil
}

// ApprovalByLink implements [respond.Store].
func (db *DB) ApprovalByLink(ctx context.Context, hash []byte) (respond.Approval, respond.Link, error) {
	var a respond.Approval
	l, err := db.approvalLink(ctx, hash)
	if err != nil {
		return a, l, err
	}
	err = db.reading(ctx, func(q reader) error {
		a, err = readApproval(q, l.AccountID, l.ApprovalID)
		return err
	})
	return a, l, err
}

// UseLink implements [respond.Store]. A link is used up by an answer that counts, and by none that is refused.
func (db *DB) UseLink(ctx context.Context, hash []byte, v respond.Vote, may func(respond.Approval, respond.Case, respond.Person) error, by audit.Entry) (respond.Approval, error) {
	var a respond.Approval
	l, err := db.approvalLink(ctx, hash)
	if err != nil {
		return a, err
	}
	err = db.do(ctx, l.AccountID, durable, func(tx *Tx) error {
		rows, err := tx.rows(linkByHash, hash)
		l, ok, err := one(rows, err, scanApprovalLink(hash))
		if err != nil {
			return fmt.Errorf("read link: %w", err)
		}
		if !ok {
			return errNoApprovalLink()
		}
		by := by.For(audit.ApprovalApprove, "approval:"+l.ApprovalID)
		if !v.Approve {
			by.Action = audit.ApprovalDeny
		}
		switch {
		case !l.UsedAt.IsZero():
			return tx.refuse(l.AccountID, by, problem.Coded(problem.Conflict, "link_used", "the link has been used already"))
		case !tx.now.Before(l.ExpiresAt):
			return tx.refuse(l.AccountID, by, problem.Coded(problem.Conflict, "link_expired", "the link could be used until %s; sign in to answer", l.ExpiresAt.Format(time.RFC3339)))
		case v.UserID != "" && v.UserID != l.UserID:
			return tx.refuse(l.AccountID, by, problem.Coded(problem.Forbidden, "link_of_another", "the link was sent to somebody else"))
		}
		v := v
		v.UserID = l.UserID
		if a, err = tx.vote(l.AccountID, l.ApprovalID, v, may, by); err != nil {
			return err
		}
		if _, err := tx.exec("UPDATE approval_links SET used_at = $1 WHERE hash = $2", tx.now.UnixMicro(), hash); err != nil {
			return fmt.Errorf("use link: %w", err)
		}
		return nil
	})
	return a, err
}
