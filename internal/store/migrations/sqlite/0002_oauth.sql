-- OAuth applications, their secrets, access tokens. A token or an application is looked up before its
-- account is known, so these keys do not begin with the account.

-- +goose Up
CREATE TABLE clients (
  id           TEXT    NOT NULL PRIMARY KEY,
  account_id   TEXT    NOT NULL REFERENCES accounts (id),
  name         TEXT    NOT NULL,
  description  TEXT    NOT NULL,
  redirect_url TEXT    NOT NULL,
  scopes       TEXT    NOT NULL, -- sorted, separated by spaces
  created_at   INTEGER NOT NULL,
  created_by   TEXT    NOT NULL,
  last_used_at INTEGER,
  revoked_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX clients_account ON clients (account_id, created_at, id);

CREATE TABLE client_secrets (
  client_id  TEXT    NOT NULL REFERENCES clients (id),
  id         TEXT    NOT NULL,
  hash       BLOB    NOT NULL,
  created_at INTEGER NOT NULL,
  ends_at    INTEGER, -- NULL: with the application
  PRIMARY KEY (client_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  hash       BLOB    NOT NULL PRIMARY KEY,
  account_id TEXT    NOT NULL,
  client_id  TEXT    NOT NULL,
  secret_id  TEXT    NOT NULL,
  issued_at  INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_expiry ON tokens (expires_at);

-- +goose Down
DROP TABLE tokens;
DROP TABLE client_secrets;
DROP TABLE clients;
