-- OAuth applications, their secrets, access tokens. A token or an application is looked up before its
-- account is known, so these keys do not begin with the account.

-- +goose Up
CREATE TABLE clients (
  id           TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
  account_id   TEXT COLLATE "C"    NOT NULL REFERENCES accounts (id),
  name         TEXT    NOT NULL,
  description  TEXT    NOT NULL,
  redirect_url TEXT    NOT NULL,
  scopes       TEXT    NOT NULL, -- sorted, separated by spaces
  created_at   BIGINT NOT NULL,
  created_by   TEXT    NOT NULL,
  last_used_at BIGINT,
  revoked_at   BIGINT
);
CREATE INDEX clients_account ON clients (account_id, created_at, id);

CREATE TABLE client_secrets (
  client_id  TEXT COLLATE "C"    NOT NULL REFERENCES clients (id),
  id         TEXT COLLATE "C"    NOT NULL,
  hash       BYTEA    NOT NULL,
  created_at BIGINT NOT NULL,
  ends_at    BIGINT, -- NULL: with the application
  PRIMARY KEY (client_id, id)
);

CREATE TABLE tokens (
  hash       BYTEA    NOT NULL PRIMARY KEY,
  account_id TEXT COLLATE "C"    NOT NULL,
  client_id  TEXT COLLATE "C"    NOT NULL,
  secret_id  TEXT COLLATE "C"    NOT NULL,
  issued_at  BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX tokens_expiry ON tokens (expires_at);

-- +goose Down
DROP TABLE tokens;
DROP TABLE client_secrets;
DROP TABLE clients;
