-- Detection: how far it has come, what it remembers, and what it found.

-- +goose Up
-- The numbers of findings and the version are given under the lock of the account.
CREATE TABLE detect_state (
  account_id    TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
  version       INTEGER NOT NULL, -- grows with each commit and each checkpoint
  cursor        INTEGER NOT NULL, -- number of the last event that was looked at
  late          INTEGER NOT NULL, -- events that came too late
  ahead         INTEGER NOT NULL, -- events that said they were of the future
  checkpoint_at INTEGER, -- all that happened until then is in profiles and windows; NULL: there is no checkpoint
  windows       BLOB,
  rules         INTEGER NOT NULL, -- revision of the rules by which windows were written
  lessons       INTEGER NOT NULL, -- number of the last one
  lease_holder  TEXT NOT NULL, -- the process that works on it; empty: none
  lease_until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Profiles of the checkpoint.
CREATE TABLE detect_profiles (
  account_id TEXT NOT NULL,
  key        TEXT NOT NULL,
  value      BLOB NOT NULL,
  until      INTEGER NOT NULL, -- of event time
  PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE findings (
  account_id TEXT NOT NULL,
  seq        INTEGER NOT NULL, -- 1, 2, 3… in the order of commit
  id         TEXT NOT NULL, -- follows from rule, key and time
  rule       TEXT NOT NULL,
  rule_id    TEXT NOT NULL,
  version    TEXT NOT NULL, -- of the rule
  level      TEXT NOT NULL,
  title      TEXT NOT NULL,
  person     TEXT NOT NULL, -- key of the person; empty: several, or nobody
  person_id  TEXT NOT NULL, -- empty: they are not in the directory
  user_name  TEXT NOT NULL, -- as the source calls them
  address    TEXT NOT NULL, -- empty: several, or none
  subject    TEXT NOT NULL, -- what it is about: person:ID, address:IP …
  key        TEXT NOT NULL, -- JSON, a list of texts
  at         INTEGER NOT NULL, -- when it began
  last_at    INTEGER NOT NULL, -- of the last event
  count      INTEGER NOT NULL,
  more       INTEGER NOT NULL, -- events beyond those in finding_events
  features   TEXT NOT NULL, -- JSON, a list of names with values
  explain    TEXT NOT NULL, -- JSON, a sentence by language
  state      TEXT NOT NULL CHECK (state IN ('open', 'ended', 'withdrawn')),
  harmless   INTEGER NOT NULL CHECK (harmless IN (0, 1)),
  judged_by  TEXT NOT NULL, -- empty: nobody has judged it
  judged_at  INTEGER,
  taught     INTEGER NOT NULL DEFAULT 0 CHECK (taught IN (0, 1)), -- its events were given to learn from
  case_id    TEXT NOT NULL, -- empty: none
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX findings_id ON findings (account_id, id);
CREATE INDEX findings_at ON findings (account_id, at, state, rule);
CREATE INDEX findings_person ON findings (account_id, person_id, seq);
CREATE INDEX findings_rule ON findings (account_id, rule, seq);
CREATE INDEX findings_open ON findings (account_id, seq) WHERE state = 'open';

-- The evidence. An event may be gone before the finding is.
CREATE TABLE finding_events (
  account_id TEXT NOT NULL,
  finding    INTEGER NOT NULL, -- seq of the finding
  event      INTEGER NOT NULL, -- seq of the event
  event_id   TEXT NOT NULL, -- the source's
  PRIMARY KEY (account_id, finding, event)
) STRICT, WITHOUT ROWID;

-- Findings judged to be harmless, whose events are to be learned from.
CREATE TABLE detect_lessons (
  account_id TEXT NOT NULL,
  number     INTEGER NOT NULL, -- 1, 2, 3… in the order of judging
  finding_id TEXT NOT NULL,
  events     TEXT NOT NULL, -- JSON, a list of seqs
  applied_at INTEGER, -- time of the engine; NULL: not yet
  PRIMARY KEY (account_id, number)
) STRICT, WITHOUT ROWID;

-- Rules that match too much to be of use.
CREATE TABLE detect_floods (
  account_id TEXT NOT NULL,
  rule       TEXT NOT NULL,
  passed     INTEGER NOT NULL, -- matches that were passed over
  last_at    INTEGER NOT NULL,
  PRIMARY KEY (account_id, rule)
) STRICT, WITHOUT ROWID;

-- Every account has its own feed as a source; from now on, of accounts that are there. Where somebody has added it,
-- its streams are read anew, as one; what is stored is passed over.
DELETE FROM signal_cursors WHERE EXISTS (SELECT 1 FROM signal_sources s
  WHERE s.account_id = signal_cursors.account_id AND s.id = signal_cursors.source_id AND s.kind = 'local');
INSERT INTO signal_sources (account_id, id, kind, name, name_key, config, state, revision, events, unmatched, last_error, created_at, created_by, lease_holder, lease_until)
SELECT x.id, 'local', 'local',
  CASE WHEN x.taken THEN 'This account (' || x.id || ')' ELSE 'This account' END,
  CASE WHEN x.taken THEN 'this account (' || lower(x.id) || ')' ELSE 'this account' END,
  '{"since":"' || strftime('%Y-%m-%dT%H:%M:%fZ', 'now') || '"}', 'active', 1, 0, 0, '', CAST(unixepoch('subsec') * 1000000 AS INTEGER), 'system', '', 0
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
