-- Rules of detection: what an account has changed, and each step of how it came to.

-- +goose Up
CREATE TABLE rule_books (
  account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
  revision   INTEGER NOT NULL -- grows by one with each change
) STRICT, WITHOUT ROWID;

CREATE TABLE rule_items (
  account_id TEXT NOT NULL REFERENCES rule_books (account_id),
  kind       TEXT NOT NULL CHECK (kind IN ('rule', 'setting', 'exception', 'list')),
  name       TEXT NOT NULL,
  body       BLOB NOT NULL, -- JSON
  updated_at INTEGER NOT NULL,
  updated_by TEXT NOT NULL,
  PRIMARY KEY (account_id, kind, name)
) STRICT;

CREATE TABLE rule_changes (
  account_id  TEXT NOT NULL REFERENCES rule_books (account_id),
  revision    INTEGER NOT NULL,
  action      TEXT NOT NULL,
  about       TEXT NOT NULL, -- rule:NAME or list:NAME
  body_before BLOB, -- NULL: there was none
  body_after  BLOB, -- NULL: there is none any more
  reason      TEXT NOT NULL,
  at          INTEGER NOT NULL,
  actor       TEXT NOT NULL,
  PRIMARY KEY (account_id, revision)
) STRICT;
CREATE INDEX rule_changes_about ON rule_changes (account_id, about, revision);

-- +goose Down
DROP TABLE rule_changes;
DROP TABLE rule_items;
DROP TABLE rule_books;
