-- The Events API: events in the order in which they were committed, from where they came, the tokens to read
-- them, and firewall rules. An event's number is given under the lock of its account, so that none becomes
-- visible after a higher one.

-- +goose Up
CREATE TABLE signin_attempts_new (
  account_id       TEXT COLLATE "C" NOT NULL, -- empty: the e-mail is nobody's
  seq              BIGINT NOT NULL, -- 1, 2, 3… in the order of commit
  at               BIGINT NOT NULL,
  id               TEXT COLLATE "C" NOT NULL,
  category         TEXT COLLATE "C" NOT NULL,
  type             TEXT NOT NULL,
  details          TEXT NOT NULL,
  session_id       TEXT NOT NULL,
  user_id          TEXT COLLATE "C" NOT NULL,
  name             TEXT NOT NULL,
  email            TEXT NOT NULL,
  method           TEXT NOT NULL,
  address          TEXT COLLATE "C" NOT NULL,
  user_agent       TEXT NOT NULL,
  app              TEXT NOT NULL,
  app_version      TEXT NOT NULL,
  platform         TEXT NOT NULL,
  platform_version TEXT NOT NULL,
  os               TEXT NOT NULL,
  os_version       TEXT NOT NULL,
  country          TEXT COLLATE "C" NOT NULL, -- ISO 3166-1 alpha-2; empty: unknown
  continent        TEXT COLLATE "C" NOT NULL,
  region           TEXT NOT NULL,
  city             TEXT NOT NULL,
  latitude         DOUBLE PRECISION NOT NULL, -- of use only with a radius
  longitude        DOUBLE PRECISION NOT NULL,
  radius           BIGINT NOT NULL, -- km; 0: no point is known
  asn              BIGINT NOT NULL,
  network          TEXT NOT NULL,
  anonymous        BOOLEAN, -- NULL: unknown
  PRIMARY KEY (account_id, seq)
);
INSERT INTO signin_attempts_new
  SELECT account_id, ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY at, id), at, id, category, type, details, session_id, user_id, name, email, method,
    address, user_agent, '', '', '', '', '', '', '', '', '', '', 0, 0, 0, 0, '', CAST(NULL AS BOOLEAN)
  FROM signin_attempts;
DROP TABLE signin_attempts;
ALTER TABLE signin_attempts_new RENAME TO signin_attempts;
CREATE INDEX signin_attempts_at ON signin_attempts (account_id, at, id);
CREATE INDEX signin_attempts_person ON signin_attempts (account_id, user_id, at, id);
CREATE INDEX signin_attempts_category ON signin_attempts (account_id, category, at, id);
CREATE INDEX signin_attempts_country ON signin_attempts (account_id, country, at, id) WHERE country <> '';
CREATE INDEX signin_attempts_address ON signin_attempts (account_id, address, at, id);
CREATE INDEX signin_attempts_known ON signin_attempts (account_id, user_id, address, at) WHERE category = 'success';

-- They outlive their vault, so they point to nothing.
CREATE TABLE item_usages_new (
  account_id       TEXT COLLATE "C" NOT NULL,
  seq              BIGINT NOT NULL, -- 1, 2, 3… in the order of commit
  at               BIGINT NOT NULL,
  id               TEXT COLLATE "C" NOT NULL,
  vault_id         TEXT COLLATE "C" NOT NULL,
  item_id          TEXT COLLATE "C" NOT NULL,
  version          BIGINT NOT NULL,
  user_id          TEXT COLLATE "C" NOT NULL,
  action           TEXT NOT NULL, -- in the words of the Events API
  session_id       TEXT NOT NULL,
  address          TEXT COLLATE "C" NOT NULL,
  user_agent       TEXT NOT NULL,
  app              TEXT NOT NULL,
  app_version      TEXT NOT NULL,
  platform         TEXT NOT NULL,
  platform_version TEXT NOT NULL,
  os               TEXT NOT NULL,
  os_version       TEXT NOT NULL,
  country          TEXT COLLATE "C" NOT NULL, -- ISO 3166-1 alpha-2; empty: unknown
  continent        TEXT COLLATE "C" NOT NULL,
  region           TEXT NOT NULL,
  city             TEXT NOT NULL,
  latitude         DOUBLE PRECISION NOT NULL, -- of use only with a radius
  longitude        DOUBLE PRECISION NOT NULL,
  radius           BIGINT NOT NULL, -- km; 0: no point is known
  asn              BIGINT NOT NULL,
  network          TEXT NOT NULL,
  anonymous        BOOLEAN, -- NULL: unknown
  PRIMARY KEY (account_id, seq)
);
INSERT INTO item_usages_new
  SELECT account_id, ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY at, id), at, id, vault_id, item_id, version, user_id, action, session_id,
    address, user_agent, '', '', '', '', '', '', '', '', '', '', 0, 0, 0, 0, '', CAST(NULL AS BOOLEAN)
  FROM item_usages;
DROP TABLE item_usages;
ALTER TABLE item_usages_new RENAME TO item_usages;
CREATE INDEX item_usages_item ON item_usages (account_id, item_id, at, id);

-- What is old is deleted, what is there never changes.
-- +goose StatementBegin
CREATE TRIGGER item_usages_append_only BEFORE UPDATE ON item_usages
FOR EACH ROW EXECUTE FUNCTION item_usages_append_only();
-- +goose StatementEnd

CREATE TABLE events_tokens (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  id         TEXT COLLATE "C" NOT NULL,
  hash       BYTEA NOT NULL, -- SHA-256 of the whole token
  key_id     TEXT COLLATE "C" NOT NULL, -- of the key that signed it
  name       TEXT NOT NULL,
  features   TEXT NOT NULL, -- separated by spaces
  created_at BIGINT NOT NULL,
  created_by TEXT COLLATE "C" NOT NULL,
  create_key TEXT COLLATE "C", -- of the form that made it; NULL: none
  expires_at BIGINT, -- NULL: never
  revoked_at BIGINT, -- NULL: not revoked
  PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX events_tokens_hash ON events_tokens (hash);
CREATE UNIQUE INDEX events_tokens_create_key ON events_tokens (account_id, create_key) WHERE create_key IS NOT NULL;

-- What tokens were used for, by the hour. The hour 0 holds what is older than hours are kept.
CREATE TABLE events_token_activity (
  account_id      TEXT COLLATE "C" NOT NULL,
  token_id        TEXT COLLATE "C" NOT NULL,
  feature         TEXT COLLATE "C" NOT NULL,
  hour            BIGINT NOT NULL, -- its beginning
  calls           BIGINT NOT NULL, -- the refused ones too
  refused         BIGINT NOT NULL,
  events          BIGINT NOT NULL, -- that were delivered
  last_at         BIGINT NOT NULL,
  last_address    TEXT NOT NULL,
  last_user_agent TEXT NOT NULL,
  PRIMARY KEY (account_id, token_id, feature, hour),
  FOREIGN KEY (account_id, token_id) REFERENCES events_tokens (account_id, id)
);
CREATE INDEX events_token_activity_hour ON events_token_activity (hour);

-- What signs events tokens; the newest signs, all verify. Keys belong to the installation.
CREATE TABLE events_keys (
  id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  public_key BYTEA NOT NULL, -- PKIX, DER
  sealed     BYTEA NOT NULL, -- PKCS #8, DER
  created_at BIGINT NOT NULL
);

CREATE TABLE firewall_rules (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  id         TEXT COLLATE "C" NOT NULL,
  position   BIGINT NOT NULL, -- the first rule that matches decides
  action     TEXT NOT NULL CHECK (action IN ('allow', 'report', 'deny')),
  kind       TEXT NOT NULL CHECK (kind IN ('country', 'continent', 'address', 'anonymous', 'all')),
  value      TEXT NOT NULL,
  note       TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, id)
);

-- +goose Down
DROP TABLE firewall_rules;
DROP TABLE events_keys;
DROP TABLE events_token_activity;
DROP TABLE events_tokens;
CREATE TABLE item_usages_old (
  account_id TEXT COLLATE "C" NOT NULL,
  at         BIGINT NOT NULL,
  id         TEXT COLLATE "C" NOT NULL,
  vault_id   TEXT COLLATE "C" NOT NULL,
  item_id    TEXT COLLATE "C" NOT NULL,
  version    BIGINT NOT NULL,
  user_id    TEXT COLLATE "C" NOT NULL,
  action     TEXT NOT NULL,
  address    TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  session_id TEXT NOT NULL,
  PRIMARY KEY (account_id, item_id, at, id)
);
INSERT INTO item_usages_old SELECT account_id, at, id, vault_id, item_id, version, user_id, action, address, user_agent, session_id FROM item_usages;
DROP TABLE item_usages;
ALTER TABLE item_usages_old RENAME TO item_usages;
CREATE INDEX item_usages_at ON item_usages (account_id, at, id);
CREATE TRIGGER item_usages_append_only BEFORE UPDATE OR DELETE ON item_usages
FOR EACH ROW EXECUTE FUNCTION item_usages_append_only();
CREATE TABLE signin_attempts_old (
  account_id TEXT COLLATE "C" NOT NULL,
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
INSERT INTO signin_attempts_old SELECT account_id, at, id, category, type, details, session_id, user_id, name, email, method, address, user_agent FROM signin_attempts;
DROP TABLE signin_attempts;
ALTER TABLE signin_attempts_old RENAME TO signin_attempts;
CREATE INDEX signin_attempts_person ON signin_attempts (account_id, user_id, at, id);
CREATE INDEX signin_attempts_category ON signin_attempts (account_id, category, at, id);
CREATE INDEX signin_attempts_known ON signin_attempts (account_id, user_id, address, at) WHERE category = 'success';
