-- Accounts, people, groups, holds.
-- Tables are STRICT and mostly WITHOUT ROWID: a row is found, and pages are read, in one descent of
-- the primary key, however many people there are. What belongs to a person has the person in its primary
-- key: SQLite takes an account for ten rows, and would rather read them all than look into another index.
-- Times are microseconds since 1970, UTC.

-- +goose Up
CREATE TABLE accounts (
  id         TEXT    NOT NULL PRIMARY KEY,
  name       TEXT    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  account_id         TEXT    NOT NULL REFERENCES accounts (id),
  id                 TEXT    NOT NULL,
  email              TEXT    NOT NULL,
  email_key          TEXT    NOT NULL, -- NFC, case-folded
  display_name       TEXT    NOT NULL,
  lifecycle          TEXT    NOT NULL CHECK (lifecycle IN ('invited', 'active')),
  suspended          INTEGER NOT NULL CHECK (suspended IN (0, 1)), -- at least one hold is open
  externally_managed INTEGER NOT NULL CHECK (externally_managed IN (0, 1)),
  created_at         INTEGER NOT NULL,
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX users_email ON users (account_id, email_key);
CREATE INDEX users_state ON users (account_id, suspended, id) WHERE lifecycle = 'active';

-- Who was removed is moved here, so that pages of people never have to step over them.
CREATE TABLE removed_users (
  account_id   TEXT    NOT NULL REFERENCES accounts (id),
  id           TEXT    NOT NULL,
  email        TEXT    NOT NULL,
  display_name TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  removed_at   INTEGER NOT NULL,
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (
  account_id     TEXT    NOT NULL REFERENCES accounts (id),
  id             TEXT    NOT NULL,
  user_id        TEXT    NOT NULL,
  holder         TEXT    NOT NULL,
  reason         TEXT    NOT NULL,
  opened_at      INTEGER NOT NULL,
  until_at       INTEGER, -- NULL: until somebody releases it
  released_at    INTEGER, -- NULL: open
  released_by    TEXT    NOT NULL DEFAULT '',
  release_reason TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (account_id, user_id, opened_at, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX holds_id ON holds (account_id, id);
CREATE UNIQUE INDEX holds_open ON holds (account_id, user_id, holder) WHERE released_at IS NULL;

CREATE TABLE groups (
  account_id TEXT    NOT NULL REFERENCES accounts (id),
  id         TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  name_key   TEXT    NOT NULL,
  kind       TEXT    NOT NULL CHECK (kind IN ('owners', 'administrators', 'security', 'team_members', 'custom')),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX groups_name ON groups (account_id, name_key);
CREATE UNIQUE INDEX groups_kind ON groups (account_id, kind) WHERE kind <> 'custom';

CREATE TABLE group_members (
  account_id TEXT    NOT NULL,
  group_id   TEXT    NOT NULL,
  user_id    TEXT    NOT NULL,
  added_at   INTEGER NOT NULL,
  PRIMARY KEY (account_id, user_id, group_id),
  FOREIGN KEY (account_id, group_id) REFERENCES groups (account_id, id),
  FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_group ON group_members (account_id, group_id, user_id);

-- One-time links by which a person sets up sign-in. The link's text is stored as a hash.
CREATE TABLE setup_links (
  hash       BLOB    NOT NULL PRIMARY KEY,
  account_id TEXT    NOT NULL REFERENCES accounts (id),
  user_id    TEXT    NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX setup_links_user ON setup_links (account_id, user_id);

-- +goose Down
DROP TABLE setup_links;
DROP TABLE group_members;
DROP TABLE groups;
DROP TABLE holds;
DROP TABLE removed_users;
DROP TABLE users;
DROP TABLE accounts;
