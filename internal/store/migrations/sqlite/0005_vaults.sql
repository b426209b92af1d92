-- Vaults, who has access, items and their versions, and what was done with them.

-- +goose Up
CREATE TABLE vaults (
  account_id  TEXT    NOT NULL REFERENCES accounts (id),
  id          TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  description TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  created_by  TEXT    NOT NULL, -- id of the person
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE vault_grants (
  account_id TEXT    NOT NULL,
  vault_id   TEXT    NOT NULL,
  grantee    TEXT    NOT NULL, -- 'user:<id>' or 'group:<id>'
  access     INTEGER NOT NULL CHECK (access BETWEEN 1 AND 3), -- view, edit, manage
  granted_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, vault_id, grantee),
  FOREIGN KEY (account_id, vault_id) REFERENCES vaults (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX vault_grants_grantee ON vault_grants (account_id, grantee, vault_id, access);

CREATE TABLE vault_items (
  account_id  TEXT    NOT NULL,
  vault_id    TEXT    NOT NULL,
  id          TEXT    NOT NULL,
  category    TEXT    NOT NULL CHECK (category IN ('API Credential', 'Login')),
  title       TEXT    NOT NULL,
  title_key   TEXT    NOT NULL, -- NFC, case-folded
  subtitled   BLOB,             -- sealed; NULL: none
  link        TEXT    NOT NULL, -- 'client:<uuid>' or empty
  version     INTEGER NOT NULL, -- the current one
  created_at  INTEGER NOT NULL,
  created_by  TEXT    NOT NULL, -- id of the person
  archived_at INTEGER,          -- NULL: in use
  PRIMARY KEY (account_id, vault_id, id),
  FOREIGN KEY (account_id, vault_id) REFERENCES vaults (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX vault_items_title ON vault_items (account_id, vault_id, title_key, id) WHERE archived_at IS NULL;
CREATE INDEX vault_items_link ON vault_items (account_id, link, vault_id) WHERE archived_at IS NULL AND link <> '';

CREATE TABLE vault_item_versions (
  account_id TEXT    NOT NULL,
  vault_id   TEXT    NOT NULL,
  item_id    TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  made_at    INTEGER NOT NULL,
  made_by    TEXT    NOT NULL, -- id of the person
  changed    TEXT    NOT NULL, -- names of fields, separated by spaces
  sealed     BLOB    NOT NULL,
  PRIMARY KEY (account_id, vault_id, item_id, version),
  FOREIGN KEY (account_id, vault_id, item_id) REFERENCES vault_items (account_id, vault_id, id)
) STRICT, WITHOUT ROWID;

-- They outlive their vault, so they point to nothing.
CREATE TABLE item_usages (
  account_id TEXT    NOT NULL,
  at         INTEGER NOT NULL,
  id         TEXT    NOT NULL,
  vault_id   TEXT    NOT NULL,
  item_id    TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  user_id    TEXT    NOT NULL,
  action     TEXT    NOT NULL, -- in the words of the Events API
  address    TEXT    NOT NULL,
  user_agent TEXT    NOT NULL,
  session_id TEXT    NOT NULL,
  PRIMARY KEY (account_id, item_id, at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_usages_at ON item_usages (account_id, at, id);

-- +goose StatementBegin
CREATE TRIGGER item_usages_no_update BEFORE UPDATE ON item_usages
BEGIN SELECT RAISE(ABORT, 'item usages are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER item_usages_no_delete BEFORE DELETE ON item_usages
BEGIN SELECT RAISE(ABORT, 'item usages are append-only'); END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE item_usages;
DROP TABLE vault_item_versions;
DROP TABLE vault_items;
DROP TABLE vault_grants;
DROP TABLE vaults;
