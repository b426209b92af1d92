-- Detection: how far it has come, what it remembers, and what it found.

-- +goose Up
-- The numbers of findings and the version are given under the lock of the account.
CREATE TABLE detect_state (
  account_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
  version       BIGINT NOT NULL, -- grows with each commit and each checkpoint
  cursor        BIGINT NOT NULL, -- number of the last event that was looked at
  late          BIGINT NOT NULL, -- events that came too late
  ahead         BIGINT NOT NULL, -- events that said they were of the future
  checkpoint_at BIGINT, -- all that happened until then is in profiles and windows; NULL: there is no checkpoint
  windows       BYTEA,
  rules         BIGINT NOT NULL, -- revision of the rules by which windows were written
  lessons       BIGINT NOT NULL, -- number of the last one
  lease_holder  TEXT COLLATE "C" NOT NULL, -- the process that works on it; empty: none
  lease_until   BIGINT NOT NULL
);

-- Profiles of the checkpoint.
CREATE TABLE detect_profiles (
  account_id TEXT COLLATE "C" NOT NULL,
  key        TEXT COLLATE "C" NOT NULL,
  value      BYTEA NOT NULL,
  until      BIGINT NOT NULL, -- of event time
  PRIMARY KEY (account_id, key)
);

CREATE TABLE findings (
  account_id TEXT COLLATE "C" NOT NULL,
  seq        BIGINT NOT NULL, -- 1, 2, 3… in the order of commit
  id         TEXT COLLATE "C" NOT NULL, -- follows from rule, key and time
  rule       TEXT COLLATE "C" NOT NULL,
  rule_id    TEXT COLLATE "C" NOT NULL,
  version    TEXT COLLATE "C" NOT NULL, -- of the rule
  level      TEXT NOT NULL,
  title      TEXT NOT NULL,
  person     TEXT COLLATE "C" NOT NULL, -- key of the person; empty: several, or nobody
  person_id  TEXT COLLATE "C" NOT NULL, -- empty: they are not in the directory
  user_name  TEXT NOT NULL, -- as the source calls them
  address    TEXT COLLATE "C" NOT NULL, -- empty: several, or none
  subject    TEXT COLLATE "C" NOT NULL, -- what it is about: person:ID, address:IP …
  key        TEXT NOT NULL, -- JSON, a list of texts
  at         BIGINT NOT NULL, -- when it began
  last_at    BIGINT NOT NULL, -- of the last event
  count      BIGINT NOT NULL,
  more       BIGINT NOT NULL, -- events beyond those in finding_events
  features   TEXT NOT NULL, -- JSON, a list of names with values
  explain    TEXT NOT NULL, -- JSON, a sentence by language
  state      TEXT NOT NULL CHECK (state IN ('open', 'ended', 'withdrawn')),
  harmless   BOOLEAN NOT NULL,
  judged_by  TEXT COLLATE "C" NOT NULL, -- empty: nobody has judged it
  judged_at  BIGINT,
  taught     BOOLEAN NOT NULL DEFAULT FALSE, -- its events were given to learn from
  case_id    TEXT COLLATE "C" NOT NULL, -- empty: none
  created_at BIGINT NOT NULL,
  PRIMARY KEY (account_id, seq)
);
CREATE UNIQUE INDEX findings_id ON findings (account_id, id);
CREATE INDEX findings_at ON findings (account_id, at, state, rule);
CREATE INDEX findings_person ON findings (account_id, person_id, seq);
CREATE INDEX findings_rule ON findings (account_id, rule, seq);
CREATE INDEX findings_open ON findings (account_id, seq) WHERE state = 'open';

-- The evidence. An event may be gone before the finding is.
CREATE TABLE finding_events (
  account_id TEXT COLLATE "C" NOT NULL,
  finding    BIGINT NOT NULL, -- seq of the finding
  event      BIGINT NOT NULL, -- seq of the event
  event_id   TEXT COLLATE "C" NOT NULL, -- the source's
  PRIMARY KEY (account_id, finding, event)
);

-- Findings judged to be harmless, whose events are to be learned from.
CREATE TABLE detect_lessons (
  account_id TEXT COLLATE "C" NOT NULL,
  number     BIGINT NOT NULL, -- 1, 2, 3… in the order of judging
  finding_id TEXT COLLATE "C" NOT NULL,
  events     TEXT NOT NULL, -- JSON, a list of seqs
  applied_at BIGINT, -- time of the engine; NULL: not yet
  PRIMARY KEY (account_id, number)
);

-- Rules that match too much to be of use.
CREATE TABLE detect_floods (
  account_id TEXT COLLATE "C" NOT NULL,
  rule       TEXT COLLATE "C" NOT NULL,
  passed     BIGINT NOT NULL, -- matches that were passed over
  last_at    BIGINT NOT NULL,
  PRIMARY KEY (account_id, rule)
);

-- Every account has its own feed as a source; from now on, of accounts that are there. Where somebody has added it,
-- its streams are read anew, as one; what is stored is passed over.
DELETE FROM signal_cursors WHERE EXISTS (SELECT 1 FROM signal_sources s
  WHERE s.account_id = signal_cursors.account_id AND s.id = signal_cursors.source_id AND s.kind = 'local');
INSERT INTO signal_sources (account_id, id, kind, name, name_key, config, state, revision, events, unmatched, last_error, created_at, created_by, lease_holder, lease_until)
SELECT x.id, 'local', 'local',
  CASE WHEN x.taken THEN 'This account (' || x.id || ')' ELSE 'This account' END,
  CASE WHEN x.taken THEN 'this account (' || lower(x.id) || ')' ELSE 'this account' END,
  '{"since":"' || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"}', 'active', 1, 0, 0, '', CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT), 'system', '', 0
FROM (SELECT a.id, EXISTS (SELECT 1 FROM signal_sources s WHERE s.account_id = a.id AND s.name_key = 'this account') AS taken FROM accounts a) x
WHERE NOT EXISTS (SELECT 1 FROM signal_sources s WHERE s.account_id = x.id AND s.kind = 'local');

-- +goose Down
DELETE FROM signal_cursors WHERE source_id = 'local';
DELETE FROM signal_sources WHERE id = 'local';
DROP TABLE detect_floods;
DROP TABLE detect_lessons;
DROP TABLE finding_events;
DROP TABLE findings;
DROP TABLE detect_profiles;
DROP TABLE detect_state;
