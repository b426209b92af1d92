-- Intake: where events come from, and the events that came. An event's number is given under the lock of its
-- account, so that none becomes visible after a higher one.

-- +goose Up
CREATE TABLE signal_sources (
  account_id    TEXT NOT NULL REFERENCES accounts (id),
  id            TEXT NOT NULL,
  kind          TEXT NOT NULL,
  name          TEXT NOT NULL,
  name_key      TEXT NOT NULL, -- NFC, case-folded
  config        TEXT NOT NULL, -- JSON, without secrets
  secret        BLOB, -- sealed: the token to ask with, or what senders sign with; NULL: none is needed
  former_secret BLOB, -- sealed: still good until former_until; NULL: none
  former_until  INTEGER,
  state         TEXT NOT NULL CHECK (state IN ('active', 'failed', 'paused')),
  revision      INTEGER NOT NULL, -- grows with each change by somebody
  events        INTEGER NOT NULL, -- that came from it
  unmatched     INTEGER NOT NULL, -- of these, without a person
  last_event_at INTEGER, -- when the last one came; NULL: none yet
  last_error    TEXT NOT NULL, -- empty: the last try went well
  created_at    INTEGER NOT NULL,
  created_by    TEXT NOT NULL,
  lease_holder  TEXT NOT NULL, -- the process that asks it; empty: none
  lease_until   INTEGER NOT NULL,
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX signal_sources_name ON signal_sources (account_id, name_key);

-- How far each stream of a source was read. It moves in the transaction that stores the events.
CREATE TABLE signal_cursors (
  account_id TEXT NOT NULL,
  source_id  TEXT NOT NULL,
  stream     TEXT NOT NULL,
  cursor     TEXT NOT NULL,
  PRIMARY KEY (account_id, source_id, stream),
  FOREIGN KEY (account_id, source_id) REFERENCES signal_sources (account_id, id)
) STRICT, WITHOUT ROWID;

-- They outlive their source and the person whom they are about, so they point to nothing.
CREATE TABLE signal_events (
  account_id      TEXT NOT NULL,
  seq             INTEGER NOT NULL, -- 1, 2, 3… in the order of commit
  source_id       TEXT NOT NULL,
  source_event_id TEXT NOT NULL, -- the same event of the same source is stored once
  at              INTEGER NOT NULL, -- when it happened; when it came, if it does not say
  received_at     INTEGER NOT NULL,
  person_id       TEXT NOT NULL, -- empty: nobody was recognised
  matched_by      TEXT NOT NULL,
  event           BLOB NOT NULL, -- OCSF as JSON, without raw_data
  raw             BLOB NOT NULL  -- as it came
) STRICT;
CREATE UNIQUE INDEX signal_events_seq ON signal_events (account_id, seq);
CREATE UNIQUE INDEX signal_events_source ON signal_events (account_id, source_id, source_event_id);
CREATE INDEX signal_events_at ON signal_events (account_id, at, seq);
CREATE INDEX signal_events_person ON signal_events (account_id, person_id, at, seq);

-- Names by which other systems call a person.
CREATE TABLE signal_aliases (
  account_id TEXT NOT NULL,
  source     TEXT NOT NULL, -- form of the events in which the name means this person; empty: any
  alias_key  TEXT NOT NULL, -- NFC, case-folded
  alias      TEXT NOT NULL,
  person_id  TEXT NOT NULL,
  PRIMARY KEY (account_id, alias_key, source)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE signal_aliases;
DROP TABLE signal_events;
DROP TABLE signal_cursors;
DROP TABLE signal_sources;
