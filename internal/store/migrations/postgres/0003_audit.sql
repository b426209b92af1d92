-- The audit log: links are appended, never changed; heads say where each chain ends.

-- +goose Up
CREATE TABLE audit_links (
  account_id TEXT COLLATE "C"    NOT NULL,
  seq        BIGINT NOT NULL,
  at         BIGINT NOT NULL,
  actor      TEXT    NOT NULL,
  action     TEXT    NOT NULL,
  target     TEXT    NOT NULL,
  outcome    TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  request_id TEXT    NOT NULL,
  address    TEXT    NOT NULL,
  prev       BYTEA    NOT NULL,
  hash       BYTEA    NOT NULL,
  PRIMARY KEY (account_id, seq)
);

CREATE TABLE audit_heads (
  account_id TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
  seq        BIGINT NOT NULL,
  hash       BYTEA    NOT NULL,
  mac        BYTEA    NOT NULL
);

-- Against mistakes; against intent there is the chain.
-- +goose StatementBegin
CREATE FUNCTION audit_links_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_links_append_only BEFORE UPDATE OR DELETE ON audit_links
FOR EACH ROW EXECUTE FUNCTION audit_links_append_only();

-- Keys of this installation, sealed by the master key.
CREATE TABLE keyrings (
  name       TEXT    NOT NULL PRIMARY KEY,
  sealed     BYTEA    NOT NULL,
  created_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE keyrings;
DROP TABLE audit_heads;
DROP TABLE audit_links;
DROP FUNCTION audit_links_append_only;
