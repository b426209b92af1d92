-- Accounts, people, groups, holds.
-- Texts that are sorted or compared as keys have the collation "C": the order of bytes, as on SQLite.
-- Times are microseconds since 1970, UTC.

-- +goose Up
CREATE TABLE accounts (
  id         TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
  name       TEXT    NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE users (
  account_id         TEXT COLLATE "C"    NOT NULL REFERENCES accounts (id),
  id                 TEXT COLLATE "C"    NOT NULL,
  email              TEXT    NOT NULL,
  email_key          TEXT COLLATE "C"    NOT NULL, -- NFC, case-folded
  display_name       TEXT    NOT NULL,
  lifecycle          TEXT    NOT NULL CHECK (lifecycle IN ('invited', 'active')),
  suspended          BOOLEAN NOT NULL, -- at least one hold is open
  externally_managed BOOLEAN NOT NULL,
  created_at         BIGINT NOT NULL,
  PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX users_email ON users (account_id, email_key);
CREATE INDEX users_state ON users (account_id, suspended, id) WHERE lifecycle = 'active';

-- Who was removed is moved here, so that pages of people never have to step over them.
CREATE TABLE removed_users (
  account_id   TEXT COLLATE "C"    NOT NULL REFERENCES accounts (id),
  id           TEXT COLLATE "C"    NOT NULL,
  email        TEXT    NOT NULL,
  display_name TEXT    NOT NULL,
  created_at   BIGINT NOT NULL,
  removed_at   BIGINT NOT NULL,
  PRIMARY KEY (account_id, id)
);

CREATE TABLE holds (
  account_id     TEXT COLLATE "C"    NOT NULL REFERENCES accounts (id),
  id             TEXT COLLATE "C"    NOT NULL,
  user_id        TEXT COLLATE "C"    NOT NULL,
  holder         TEXT COLLATE "C"    NOT NULL,
  reason         TEXT    NOT NULL,
  opened_at      BIGINT NOT NULL,
  until_at       BIGINT, -- NULL: until somebody releases it
  released_at    BIGINT, -- NULL: open
  released_by    TEXT    NOT NULL DEFAULT '',
  release_reason TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (account_id, user_id, opened_at, id)
);
CREATE UNIQUE INDEX holds_id ON holds (account_id, id);
CREATE UNIQUE INDEX holds_open ON holds (account_id, user_id, holder) WHERE released_at IS NULL;

CREATE TABLE groups (
  account_id TEXT COLLATE "C"    NOT NULL REFERENCES accounts (id),
  id         TEXT COLLATE "C"    NOT NULL,
  name       TEXT    NOT NULL,
  name_key   TEXT COLLATE "C"    NOT NULL,
  kind       TEXT    NOT NULL CHECK (kind IN ('owners', 'administrators', 'security', 'team_members', 'custom')),
  created_at BIGINT NOT NULL,
  PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX groups_name ON groups (account_id, name_key);
CREATE UNIQUE INDEX groups_kind ON groups (account_id, kind) WHERE kind <> 'custom';

CREATE TABLE group_members (
  account_id TEXT COLLATE "C"    NOT NULL,
  group_id   TEXT COLLATE "C"    NOT NULL,
  user_id    TEXT COLLATE "C"    NOT NULL,
  added_at   BIGINT NOT NULL,
  PRIMARY KEY (account_id, user_id, group_id),
  FOREIGN KEY (account_id, group_id) REFERENCES groups (account_id, id),
  FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, id)
);
CREATE INDEX group_members_group ON group_members (account_id, group_id, user_id);

-- One-time links by which a person sets up sign-in. The link's text is stored as a hash.
CREATE TABLE setup_links (
  hash       BYTEA    NOT NULL PRIMARY KEY,
  account_id TEXT COLLATE "C"    NOT NULL REFERENCES accounts (id),
  user_id    TEXT COLLATE "C"    NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at    BIGINT
);
CREATE INDEX setup_links_user ON setup_links (account_id, user_id);

-- +goose Down
DROP TABLE setup_links;
DROP TABLE group_members;
DROP TABLE groups;
DROP TABLE holds;
DROP TABLE removed_users;
DROP TABLE users;
DROP TABLE accounts;
