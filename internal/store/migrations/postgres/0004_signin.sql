-- Ways in, sessions, and the tries. A session, a ticket and a passkey are looked up before their account is
-- known, and so is a person by e-mail.

-- +goose Up
CREATE INDEX users_anywhere ON users (email_key, account_id);

CREATE TABLE signin_policies (
  account_id     TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
  passkeys       BOOLEAN NOT NULL,
  passwords      BOOLEAN NOT NULL,
  require_code   BOOLEAN NOT NULL,
  idle           BIGINT NOT NULL, -- microseconds
  absolute       BIGINT NOT NULL, -- microseconds
  single_sign_on BOOLEAN NOT NULL,
  issuer         TEXT COLLATE "C" NOT NULL,
  client_id      TEXT NOT NULL,
  sso_secret     BYTEA, -- sealed; NULL: none
  secret_version BIGINT NOT NULL
);

CREATE TABLE sessions (
  hash         BYTEA NOT NULL PRIMARY KEY, -- of the cookie's credential
  id           TEXT COLLATE "C" NOT NULL,
  account_id   TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  user_id      TEXT COLLATE "C" NOT NULL,
  method       TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  confirmed_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  idle         BIGINT NOT NULL, -- microseconds
  address      TEXT COLLATE "C" NOT NULL,
  user_agent   TEXT NOT NULL,
  ended_at     BIGINT, -- NULL: not ended by anybody
  end_reason   TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX sessions_id ON sessions (account_id, id);
CREATE INDEX sessions_person ON sessions (account_id, user_id, created_at, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);
CREATE INDEX sessions_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE passkeys (
  account_id   TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  user_id      TEXT COLLATE "C" NOT NULL,
  id           TEXT COLLATE "C" NOT NULL,
  name         TEXT NOT NULL,
  credential   BYTEA NOT NULL,
  raw_id       BYTEA NOT NULL,
  created_at   BIGINT NOT NULL,
  last_used_at BIGINT,
  PRIMARY KEY (account_id, user_id, id)
);
CREATE UNIQUE INDEX passkeys_raw_id ON passkeys (raw_id);

CREATE TABLE passwords (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  user_id    TEXT COLLATE "C" NOT NULL,
  hash       TEXT NOT NULL, -- argon2id
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (account_id, user_id)
);

CREATE TABLE totp (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  user_id    TEXT COLLATE "C" NOT NULL,
  sealed     BYTEA NOT NULL,
  since      BIGINT NOT NULL,
  step       BIGINT NOT NULL, -- the last one that was accepted
  PRIMARY KEY (account_id, user_id)
);

CREATE TABLE recovery_codes (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  user_id    TEXT COLLATE "C" NOT NULL,
  hash       BYTEA NOT NULL,
  PRIMARY KEY (account_id, user_id, hash)
);

CREATE TABLE sso_subjects (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  user_id    TEXT COLLATE "C" NOT NULL,
  issuer     TEXT COLLATE "C" NOT NULL,
  subject    TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, user_id, issuer)
);
CREATE UNIQUE INDEX sso_subjects_subject ON sso_subjects (account_id, issuer, subject);

CREATE TABLE signin_failures (
  key     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  count   BIGINT NOT NULL,
  last_at BIGINT NOT NULL
);
CREATE INDEX signin_failures_last ON signin_failures (last_at);

CREATE TABLE signin_tickets (
  hash       BYTEA NOT NULL PRIMARY KEY,
  purpose    TEXT NOT NULL,
  sealed     BYTEA NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX signin_tickets_expiry ON signin_tickets (expires_at);

CREATE TABLE signin_attempts (
  account_id TEXT COLLATE "C" NOT NULL, -- empty: the e-mail is nobody's
  at         BIGINT NOT NULL,
  id         TEXT COLLATE "C" NOT NULL,
  category   TEXT COLLATE "C" NOT NULL,
  type       TEXT NOT NULL,
  details    TEXT NOT NULL,
  session_id TEXT NOT NULL,
  user_id    TEXT COLLATE "C" NOT NULL,
  name       TEXT NOT NULL,
  email      TEXT NOT NULL,
  method     TEXT NOT NULL,
  address    TEXT COLLATE "C" NOT NULL,
  user_agent TEXT NOT NULL,
  PRIMARY KEY (account_id, at, id)
);
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
