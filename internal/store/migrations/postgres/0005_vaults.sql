-- Vaults, who has access, items and their versions, and what was done with them.

-- +goose Up
CREATE TABLE vaults (
  account_id  TEXT COLLATE "C"    NOT NULL REFERENCES accounts (id),
  id          TEXT COLLATE "C"    NOT NULL,
  name        TEXT    NOT NULL,
  description TEXT    NOT NULL,
  created_at  BIGINT NOT NULL,
  created_by  TEXT COLLATE "C"    NOT NULL, -- id of the person
  PRIMARY KEY (account_id, id)
);

CREATE TABLE vault_grants (
  account_id TEXT COLLATE "C"    NOT NULL,
  vault_id   TEXT COLLATE "C"    NOT NULL,
  grantee    TEXT COLLATE "C"    NOT NULL, -- 'user:<id>' or 'group:<id>'
  access     BIGINT NOT NULL CHECK (access BETWEEN 1 AND 3), -- view, edit, manage
  granted_at BIGINT NOT NULL,
  PRIMARY KEY (account_id, vault_id, grantee),
  FOREIGN KEY (account_id, vault_id) REFERENCES vaults (account_id, id)
);
CREATE INDEX vault_grants_grantee ON vault_grants (account_id, grantee, vault_id, access);

CREATE TABLE vault_items (
  account_id  TEXT COLLATE "C"    NOT NULL,
  vault_id    TEXT COLLATE "C"    NOT NULL,
  id          TEXT COLLATE "C"    NOT NULL,
  category    TEXT    NOT NULL CHECK (category IN ('API Credential', 'Login')),
  title       TEXT    NOT NULL,
  title_key   TEXT COLLATE "C"    NOT NULL, -- NFC, case-folded
  subtitled   BYTEA,             -- sealed; NULL: none
  link        TEXT COLLATE "C"    NOT NULL, -- 'client:<uuid>' or empty
  version     BIGINT NOT NULL, -- the current one
  created_at  BIGINT NOT NULL,
  created_by  TEXT COLLATE "C"    NOT NULL, -- id of the person
  archived_at BIGINT,          -- NULL: in use
  PRIMARY KEY (account_id, vault_id, id),
  FOREIGN KEY (account_id, vault_id) REFERENCES vaults (account_id, id)
);
CREATE INDEX vault_items_title ON vault_items (account_id, vault_id, title_key, id) WHERE archived_at IS NULL;
CREATE INDEX vault_items_link ON vault_items (account_id, link, vault_id) WHERE archived_at IS NULL AND link <> '';

CREATE TABLE vault_item_versions (
  account_id TEXT COLLATE "C"    NOT NULL,
  vault_id   TEXT COLLATE "C"    NOT NULL,
  item_id    TEXT COLLATE "C"    NOT NULL,
  version    BIGINT NOT NULL,
  made_at    BIGINT NOT NULL,
  made_by    TEXT COLLATE "C"    NOT NULL, -- id of the person
  changed    TEXT    NOT NULL, -- names of fields, separated by spaces
  sealed     BYTEA    NOT NULL,
  PRIMARY KEY (account_id, vault_id, item_id, version),
  FOREIGN KEY (account_id, vault_id, item_id) REFERENCES vault_items (account_id, vault_id, id)
);

-- They outlive their vault, so they point to nothing.
CREATE TABLE item_usages (
  account_id TEXT COLLATE "C"    NOT NULL,
  at         BIGINT NOT NULL,
  id         TEXT COLLATE "C"    NOT NULL,
  vault_id   TEXT COLLATE "C"    NOT NULL,
  item_id    TEXT COLLATE "C"    NOT NULL,
  version    BIGINT NOT NULL,
  user_id    TEXT COLLATE "C"    NOT NULL,
  action     TEXT    NOT NULL, -- in the words of the Events API
  address    TEXT    NOT NULL,
  user_agent TEXT    NOT NULL,
  session_id TEXT    NOT NULL,
  PRIMARY KEY (account_id, item_id, at, id)
);
CREATE INDEX item_usages_at ON item_usages (account_id, at, id);

-- +goose StatementBegin
CREATE FUNCTION item_usages_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'item usages are append-only'; END $$;
-- +goose StatementEnd
CREATE TRIGGER item_usages_append_only BEFORE UPDATE OR DELETE ON item_usages
FOR EACH ROW EXECUTE FUNCTION item_usages_append_only();

-- +goose Down
DROP TABLE item_usages;
DROP FUNCTION item_usages_append_only;
DROP TABLE vault_item_versions;
DROP TABLE vault_items;
DROP TABLE vault_grants;
DROP TABLE vaults;
