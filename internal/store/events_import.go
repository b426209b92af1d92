package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
)

// attemptsAtOnce is how many attempts go into one statement. On SQLite, 5,000 of them took 4.2 s by the hundred, and
// 0.2 s by a few: with thousands of parameters a statement costs more than its rows. On PostgreSQL it is a round trip.
const attemptsAtOnce = 5

// ImportAttempts adds attempts of the account that were not made here: history of another system, or made-up
// ones. They must be in the order of their times, since readers find where to begin by it. All are added or none.
func (db *DB) ImportAttempts(ctx context.Context, accountID string, list []signin.Attempt, by audit.Entry) error {
	by.Action, by.Target = audit.SignInImport, ""
	run := func(tx *Tx) error {
		var last int64
		err := tx.row("SELECT COALESCE(MAX(seq), 0) FROM signin_attempts WHERE account_id = $1", accountID).Scan(&last)
		if err != nil {
			return fmt.Errorf("read the last sign-in attempt: %w", err)
		}
		for rest := list; len(rest) > 0; {
			n := min(len(rest), attemptsAtOnce)
			done, err := tx.insertAttempts(accountID, last, rest, n)
			if err != nil {
				return fmt.Errorf("insert sign-in attempts from %d on: %w", last+1, err)
			}
			last, rest = last+int64(done), rest[done:]
		}
		tx.ring(accountID)
		return tx.append(accountID, by.Because(fmt.Sprintf("%d attempts", len(list))))
	}
	return db.enter(accountID, &unit{ctx: ctx, durable: durable, most: time.Hour, alone: true, run: run, turn: make(chan bool, 1)})
}

// attemptWidth is how many values an attempt has in the database.
const attemptWidth = 2 + 10 + originWidth

// insertAttempts inserts as many of the attempts as fill statements of n each, with the numbers after last, and
// returns how many that are. The statement is prepared once: reading its text takes longer than carrying it out.
func (tx *Tx) insertAttempts(accountID string, last int64, list []signin.Attempt, n int) (done int, err error) {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = "(" + placeholders(1+i*attemptWidth, attemptWidth) + ")"
	}
	query := "INSERT INTO signin_attempts (account_id, seq, " + attemptColumns + ", " + originColumns + ") VALUES " + strings.Join(rows, ", ")
	tx.changed = true
	stmt, err := tx.tx.PrepareContext(tx.ctx, query)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	for ; done+n <= len(list); done += n {
		if _, err := stmt.ExecContext(tx.ctx, attemptArgs(accountID, last+int64(done), list[done:done+n])...); err != nil {
			return done, err
		}
	}
	return done, nil
}

// attemptArgs are the values of attempts, with the numbers after last.
func attemptArgs(accountID string, last int64, list []signin.Attempt) []any {
	args := make([]any, 0, attemptWidth*len(list))
	for i, a := range list {
		id := a.ID
		if id == "" {
			id = seal.NewID()
		}
		args = append(args, accountID, last+int64(i)+1, a.At.UnixMicro(), id, string(a.Category), string(a.Type), storable(a.Details, mostText), a.SessionID,
			a.UserID, a.Name, storable(a.Email, mostEmail), string(a.Method))
		args = append(args, originValues(a.Client, a.Location)...)
	}
	return args
}
