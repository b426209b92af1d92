-- Ways in, sessions, and the tries. A session, a ticket and a passkey are looked up before their account is
-- known, and so is a person by e-mail.

-- +goose Up
CREATE INDEX users_anywhere ON users (email_key, account_id);

CREATE TABLE signin_policies (
  account_id     TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (id),
  passkeys       INTEGER NOT NULL CHECK (passkeys IN (0, 1)),
  passwords      INTEGER NOT NULL CHECK (passwords IN (0, 1)),
  require_code   INTEGER NOT NULL CHECK (require_code IN (0, 1)),
  idle           INTEGER NOT NULL, -- microseconds
  absolute       INTEGER NOT NULL, -- microseconds
  single_sign_on INTEGER NOT NULL CHECK (single_sign_on IN (0, 1)),
  issuer         TEXT    NOT NULL,
  client_id      TEXT    NOT NULL,
  sso_secret     BLOB, -- sealed; NULL: none
  secret_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
  hash         BLOB    NOT NULL PRIMARY KEY, -- of the cookie's credential
  id           TEXT    NOT NULL,
  account_id   TEXT    NOT NULL REFERENCES accounts (id),
  user_id      TEXT    NOT NULL,
  method       TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  confirmed_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  idle         INTEGER NOT NULL, -- microseconds
  address      TEXT    NOT NULL,
  user_agent   TEXT    NOT NULL,
  ended_at     INTEGER, -- NULL: not ended by anybody
  end_reason   TEXT    NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_id ON sessions (account_id, id);
CREATE INDEX sessions_person ON sessions (account_id, user_id, created_at, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);
CREATE INDEX sessions_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE passkeys (
  account_id   TEXT    NOT NULL REFERENCES accounts (id),
  user_id      TEXT    NOT NULL,
  id           TEXT    NOT NULL,
  name         TEXT    NOT NULL,
  credential   BLOB    NOT NULL,
  raw_id       BLOB    NOT NULL,
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  PRIMARY KEY (account_id, user_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX passkeys_raw_id ON passkeys (raw_id);

CREATE TABLE passwords (
  account_id TEXT    NOT NULL REFERENCES accounts (id),
  user_id    TEXT    NOT NULL,
  hash       TEXT    NOT NULL, -- argon2id
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE totp (
  account_id TEXT    NOT NULL REFERENCES accounts (id),
  user_id    TEXT    NOT NULL,
  sealed     BLOB    NOT NULL,
  since      INTEGER NOT NULL,
  step       INTEGER NOT NULL, -- the last one that was accepted
  PRIMARY KEY (account_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_codes (
  account_id TEXT    NOT NULL REFERENCES accounts (id),
  user_id    TEXT    NOT NULL,
  hash       BLOB    NOT NULL,
  PRIMARY KEY (account_id, user_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE sso_subjects (
  account_id TEXT    NOT NULL REFERENCES accounts (id),
  user_id    TEXT    NOT NULL,
  issuer     TEXT    NOT NULL,
  subject    TEXT    NOT NULL,
  PRIMARY KEY (account_id, user_id, issuer)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sso_subjects_subject ON sso_subjects (account_id, issuer, subject);

CREATE TABLE signin_failures (
  key     TEXT    NOT NULL PRIMARY KEY,
  count   INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX signin_failures_last ON signin_failures (last_at);

CREATE TABLE signin_tickets (
  hash       BLOB    NOT NULL PRIMARY KEY,
  purpose    TEXT    NOT NULL,
  sealed     BLOB    NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX signin_tickets_expiry ON signin_tickets (expires_at);

CREATE TABLE signin_attempts (
  account_id TEXT    NOT NULL, -- empty: the e-mail is nobody's
  at         INTEGER NOT NULL,
  id         TEXT    NOT NULL,
  category   TEXT    NOT NULL,
  type       TEXT    NOT NULL,
  details    TEXT    NOT NULL,
  session_id TEXT    NOT NULL,
  user_id    TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  email      TEXT    NOT NULL,
  method     TEXT    NOT NULL,
  address    TEXT    NOT NULL,
  user_agent TEXT    NOT NULL,
  PRIMARY KEY (account_id, at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX signin_attempts_person ON signin_attempts (account_id, user_id, at, id);
CREATE INDEX signin_attempts_category ON signin_attempts (account_id, category, at, id);
CREATE INDEX signin_attempts_known ON signin_attempts (account_id, user_id, address, at) WHERE category = 'success';

-- +goose Down
DROP TABLE signin_attempts;
DROP TABLE signin_tickets;
DROP TABLE signin_failures;
DROP TABLE sso_subjects;
DROP TABLE recovery_codes;
DROP TABLE totp;
DROP TABLE passwords;
DROP TABLE passkeys;
DROP TABLE sessions;
DROP TABLE signin_policies;
DROP INDEX users_anywhere;
