-- Rules of detection: what an account has changed, and each step of how it came to.

-- +goose Up
CREATE TABLE rule_books (
  account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
  revision   BIGINT NOT NULL -- grows by one with each change
);

CREATE TABLE rule_items (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES rule_books (account_id),
  kind       TEXT COLLATE "C" NOT NULL CHECK (kind IN ('rule', 'setting', 'exception', 'list')),
  name       TEXT COLLATE "C" NOT NULL,
  body       BYTEA NOT NULL, -- JSON
  updated_at BIGINT NOT NULL,
  updated_by TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, kind, name)
);

CREATE TABLE rule_changes (
  account_id  TEXT COLLATE "C" NOT NULL REFERENCES rule_books (account_id),
  revision    BIGINT NOT NULL,
  action      TEXT COLLATE "C" NOT NULL,
  about       TEXT COLLATE "C" NOT NULL, -- rule:NAME or list:NAME
  body_before BYTEA, -- NULL: there was none
  body_after  BYTEA, -- NULL: there is none any more
  reason      TEXT COLLATE "C" NOT NULL,
  at          BIGINT NOT NULL,
  actor       TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, revision)
);
CREATE INDEX rule_changes_about ON rule_changes (account_id, about, revision);

-- +goose Down
DROP TABLE rule_changes;
DROP TABLE rule_items;
DROP TABLE rule_books;
