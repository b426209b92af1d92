package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
)

// attemptsAtOnce is how many attempts go into one statement. On SQLite, 5,000 of them took 4.2 s by the hundred
// and 0.7 s by twenty or fewer: the text of a statement with thousands of parameters costs more than its rows.
const attemptsAtOnce = 20

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
		for rows := range slices.Chunk(list, attemptsAtOnce) {
			if err := tx.insertAttempts(accountID, last, rows); err != nil {
				return err
			}
			last += int64(len(rows))
		}
		tx.ring(accountID)
		return tx.append(accountID, by.Because(fmt.Sprintf("%d attempts", len(list))))
	}
	return db.enter(accountID, &unit{ctx: ctx, durable: durable, most: time.Hour, alone: true, run: run, turn: make(chan bool, 1)})
}

// insertAttempts inserts attempts with the numbers after last.
func (tx *Tx) insertAttempts(accountID string, last int64, list []signin.Attempt) error {
	width := 2 + strings.Count(attemptColumns, ",") + 1 + originWidth
	rows := make([]string, len(list))
	args := make([]any, 0, width*len(list))
	for i, a := range list {
		rows[i] = "(" + placeholders(1+i*width, width) + ")"
		id := a.ID
		if id == "" {
			id = seal.NewID()
		}
		args = append(args, accountID, last+int64(i)+1, a.At.UnixMicro(), id, string(a.Category), string(a.Type), storable(a.Details, mostText), a.SessionID,
			a.UserID, a.Name, storable(a.Email, mostEmail), string(a.Method))
		args = append(args, originValues(a.Client, a.Location)...)
	}
	_, err := tx.exec("INSERT INTO signin_attempts (account_id, seq, "+attemptColumns+", "+originColumns+") VALUES "+strings.Join(rows, ", "), args...)
	if err != nil {
		return fmt.Errorf("insert sign-in attempts from %d on: %w", last+1, err)
	}
	return nil
}
