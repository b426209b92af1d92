-- The audit log: links are appended, never changed; heads say where each chain ends.

-- +goose Up
CREATE TABLE audit_links (
  account_id TEXT    NOT NULL,
  seq        INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  actor      TEXT    NOT NULL,
  action     TEXT    NOT NULL,
  target     TEXT    NOT NULL,
  outcome    TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  request_id TEXT    NOT NULL,
  address    TEXT    NOT NULL,
  prev       BLOB    NOT NULL,
  hash       BLOB    NOT NULL,
  PRIMARY KEY (account_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_heads (
  account_id TEXT    NOT NULL PRIMARY KEY,
  seq        INTEGER NOT NULL,
  hash       BLOB    NOT NULL,
  mac        BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- Against mistakes; against intent there is the chain.
-- +goose StatementBegin
CREATE TRIGGER audit_links_no_update BEFORE UPDATE ON audit_links
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_links_no_delete BEFORE DELETE ON audit_links
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- +goose StatementEnd

-- Keys of this installation, sealed by the master key.
CREATE TABLE keyrings (
  name       TEXT    NOT NULL PRIMARY KEY,
  sealed     BLOB    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE keyrings;
DROP TABLE audit_heads;
DROP TABLE audit_links;
