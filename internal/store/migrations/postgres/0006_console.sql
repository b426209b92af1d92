-- What the console asks for: applications made once however often a form is sent, what applications do,
-- people found by their names, the audit log read from many sides, and up to where it was verified.

-- +goose Up
ALTER TABLE clients ADD COLUMN create_key TEXT COLLATE "C"; -- of the form that made the application; NULL: none
CREATE UNIQUE INDEX clients_create_key ON clients (account_id, create_key) WHERE create_key IS NOT NULL;

-- What applications did, by the hour. The hour 0 holds what is older than hours are kept.
CREATE TABLE client_activity (
  client_id       TEXT COLLATE "C" NOT NULL REFERENCES clients (id),
  operation       TEXT COLLATE "C" NOT NULL,
  hour            BIGINT NOT NULL, -- its beginning
  account_id      TEXT COLLATE "C" NOT NULL,
  calls           BIGINT NOT NULL, -- the refused ones too
  refused         BIGINT NOT NULL,
  last_at         BIGINT NOT NULL,
  last_done_at    BIGINT NOT NULL, -- of those that were not refused; 0: none
  last_address    TEXT    NOT NULL,
  last_user_agent TEXT    NOT NULL,
  PRIMARY KEY (client_id, operation, hour)
);
CREATE INDEX client_activity_hour ON client_activity (hour);

-- The display name, NFC and case-folded. lower() folds less of it for who is there already.
ALTER TABLE users ADD COLUMN name_key TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE users SET name_key = lower(display_name);
CREATE INDEX users_name ON users (account_id, name_key, id);
CREATE INDEX users_invited ON users (account_id, id) WHERE lifecycle = 'invited';
CREATE INDEX holds_newest ON holds (account_id, opened_at, id) WHERE released_at IS NULL;

CREATE INDEX audit_links_actor ON audit_links (account_id, actor, seq);
CREATE INDEX audit_links_target ON audit_links (account_id, target, seq);
CREATE INDEX audit_links_action ON audit_links (account_id, action, seq);
CREATE INDEX audit_links_refused ON audit_links (account_id, seq) WHERE outcome = 'refused';

-- Up to where each chain was found whole, under a MAC: who changes the log must not be able to say that it was looked at.
CREATE TABLE audit_verified (
  account_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  seq         BIGINT NOT NULL,
  hash        BYTEA   NOT NULL,
  verified_at BIGINT NOT NULL,
  full_at     BIGINT NOT NULL, -- when it was last read from its first link on; 0: never
  broken      TEXT    NOT NULL, -- what was found beyond seq; empty: nothing
  mac         BYTEA   NOT NULL
);

-- +goose Down
DROP TABLE audit_verified;
DROP INDEX audit_links_refused;
DROP INDEX audit_links_action;
DROP INDEX audit_links_target;
DROP INDEX audit_links_actor;
DROP INDEX holds_newest;
DROP INDEX users_invited;
DROP INDEX users_name;
ALTER TABLE users DROP COLUMN name_key;
DROP TABLE client_activity;
DROP INDEX clients_create_key;
ALTER TABLE clients DROP COLUMN create_key;
