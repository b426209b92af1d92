-- Response: guard rails, playbooks, cases and what was done in them. Everything is written under the lock of its
-- account. Cases outlive the people and the findings that they are about, so they point to neither. What belongs to a
-- case has the case in its primary key.

-- +goose Up
CREATE TABLE respond_state (
  account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
  cursor     BIGINT NOT NULL, -- number of the last finding that was taken
  revision   BIGINT NOT NULL, -- of all playbooks; grows with each change of one
  cases      BIGINT NOT NULL  -- number of the newest case
);

CREATE TABLE guard_rails (
  account_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id),
  revision    BIGINT NOT NULL,
  settings    TEXT NOT NULL, -- JSON
  kill_on     BOOLEAN NOT NULL,
  kill_door   TEXT NOT NULL,
  kill_by     TEXT NOT NULL,
  kill_at     BIGINT, -- NULL: never
  kill_reason TEXT NOT NULL,
  updated_at  BIGINT NOT NULL,
  updated_by  TEXT NOT NULL
);

CREATE TABLE playbooks (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  name       TEXT COLLATE "C" NOT NULL,
  revision   BIGINT NOT NULL, -- the version in force
  PRIMARY KEY (account_id, name)
);

CREATE TABLE playbook_versions (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  name       TEXT COLLATE "C" NOT NULL,
  revision   BIGINT NOT NULL, -- 1, 2, 3…, also across a removal
  text       TEXT NOT NULL, -- empty: the shipped one, of which only the mode is set
  mode       TEXT NOT NULL, -- empty: as the text says
  version    TEXT NOT NULL, -- of the text
  removed    BOOLEAN NOT NULL, -- with this one it was removed
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL,
  PRIMARY KEY (account_id, name, revision)
);

CREATE TABLE cases (
  account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  id          TEXT COLLATE "C" NOT NULL,
  number      BIGINT NOT NULL, -- 1, 2, 3…
  subject_key TEXT COLLATE "C" NOT NULL, -- empty: it is about nobody
  person_id   TEXT COLLATE "C" NOT NULL, -- empty: nobody of the directory
  name        TEXT NOT NULL,
  email       TEXT NOT NULL,
  title       TEXT NOT NULL,
  level       TEXT COLLATE "C" NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('open', 'contained', 'closed')),
  resolution  TEXT NOT NULL,
  note        TEXT NOT NULL,
  assignee_id TEXT COLLATE "C" NOT NULL,
  opened_at   BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL,
  closed_at   BIGINT, -- NULL: not closed
  closed_by   TEXT NOT NULL,
  findings    BIGINT NOT NULL,
  pending     BIGINT NOT NULL, -- approvals and questions that wait
  held_until  BIGINT, -- NULL: its hold has no end, or there is none
  PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX cases_number ON cases (account_id, number);
CREATE UNIQUE INDEX cases_subject ON cases (account_id, subject_key) WHERE state <> 'closed' AND subject_key <> '';
CREATE INDEX cases_state ON cases (account_id, state, number);
CREATE INDEX cases_level ON cases (account_id, level, number);
CREATE INDEX cases_person ON cases (account_id, person_id, number);
CREATE INDEX cases_pending ON cases (account_id, number) WHERE pending > 0;

CREATE TABLE case_findings (
  account_id TEXT COLLATE "C" NOT NULL,
  case_id    TEXT COLLATE "C" NOT NULL,
  finding_id TEXT COLLATE "C" NOT NULL,
  seq        BIGINT NOT NULL, -- of the finding
  at         BIGINT NOT NULL, -- when the finding began
  level      TEXT NOT NULL,
  added_at   BIGINT NOT NULL,
  PRIMARY KEY (account_id, case_id, seq),
  FOREIGN KEY (account_id, case_id) REFERENCES cases (account_id, id)
);

CREATE TABLE runs (
  account_id TEXT COLLATE "C" NOT NULL,
  id         TEXT COLLATE "C" NOT NULL,
  case_id    TEXT COLLATE "C" NOT NULL, -- empty: none was opened
  finding_id TEXT COLLATE "C" NOT NULL,
  playbook   TEXT COLLATE "C" NOT NULL,
  version    TEXT NOT NULL,
  mode       TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('observed', 'stopped', 'held', 'waiting', 'acting', 'done', 'failed', 'denied', 'expired')),
  checks     TEXT NOT NULL, -- JSON
  dedupe_key TEXT COLLATE "C" NOT NULL,
  question   TEXT NOT NULL, -- JSON: to ask the person once it is approved; empty: nothing
  created_at BIGINT NOT NULL,
  ended_at   BIGINT, -- NULL: not ended
  PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX runs_finding ON runs (account_id, finding_id, playbook);
CREATE INDEX runs_case ON runs (account_id, case_id, created_at, id);
CREATE INDEX runs_playbook ON runs (account_id, playbook, created_at, id);
CREATE INDEX runs_key ON runs (account_id, playbook, dedupe_key, created_at) WHERE state <> 'stopped';
CREATE INDEX runs_since ON runs (account_id, created_at, playbook, state);

CREATE TABLE actions (
  account_id   TEXT COLLATE "C" NOT NULL,
  id           TEXT COLLATE "C" NOT NULL,
  case_id      TEXT COLLATE "C" NOT NULL,
  run_id       TEXT COLLATE "C" NOT NULL, -- empty: a person did it from the case
  step         BIGINT NOT NULL,
  kind         TEXT NOT NULL,
  target       TEXT NOT NULL,
  person_id    TEXT COLLATE "C" NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('planned', 'begun', 'unknown', 'done', 'refused', 'failed', 'cancelled', 'undone')),
  attempts     BIGINT NOT NULL,
  code         TEXT NOT NULL,
  reason       TEXT NOT NULL,
  planned_at   BIGINT NOT NULL,
  begun_at     BIGINT,
  ended_at     BIGINT,
  hold_for     BIGINT NOT NULL, -- microseconds; 0: no end
  release      TEXT NOT NULL,
  until_at     BIGINT, -- when the hold ends by itself; NULL: not
  hold_id      TEXT COLLATE "C" NOT NULL,
  kept         BOOLEAN NOT NULL,
  already      BOOLEAN NOT NULL, -- it was so before, by somebody else
  unwanted     BOOLEAN NOT NULL, -- undone while it was on its way: to be taken back once it is done
  template     TEXT NOT NULL, -- of notify
  override     TEXT NOT NULL,
  actor        TEXT NOT NULL,
  playbook     TEXT COLLATE "C" NOT NULL, -- empty: a person's own
  counted_at   BIGINT, -- a playbook suspends, or has a place to: counts for the window from then on; NULL: does not
  reserved     BIGINT, -- 1: keeps a person suspended elsewhere, or has a place to; NULL: does not
  PRIMARY KEY (account_id, case_id, id),
  FOREIGN KEY (account_id, case_id) REFERENCES cases (account_id, id)
);
CREATE UNIQUE INDEX actions_id ON actions (account_id, id);
CREATE INDEX actions_case ON actions (account_id, case_id, planned_at, step, id);
CREATE INDEX actions_run ON actions (account_id, run_id, step) WHERE run_id <> '';
CREATE INDEX actions_counted ON actions (account_id, counted_at, person_id, playbook) WHERE counted_at IS NOT NULL;
CREATE INDEX actions_reserved ON actions (account_id, person_id) WHERE reserved IS NOT NULL;

-- Whom cases keep suspended, for the guard rails.
CREATE INDEX holds_cases ON holds (account_id, user_id) WHERE released_at IS NULL AND substr(holder, 1, 5) = 'case:';

CREATE TABLE approvals (
  account_id  TEXT COLLATE "C" NOT NULL,
  id          TEXT COLLATE "C" NOT NULL,
  case_id     TEXT COLLATE "C" NOT NULL,
  run_id      TEXT COLLATE "C" NOT NULL,
  comes       TEXT NOT NULL CHECK (comes IN ('before', 'after')),
  needed      BIGINT NOT NULL,
  from_groups TEXT NOT NULL, -- JSON list of names or ids
  not_self    BOOLEAN NOT NULL,
  on_timeout  TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired')),
  asked_at    BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  PRIMARY KEY (account_id, case_id, id),
  FOREIGN KEY (account_id, case_id) REFERENCES cases (account_id, id)
);
CREATE UNIQUE INDEX approvals_id ON approvals (account_id, id);
CREATE INDEX approvals_case ON approvals (account_id, case_id, asked_at, id);
CREATE INDEX approvals_pending ON approvals (account_id, expires_at, id) WHERE state = 'pending';

CREATE TABLE approval_votes (
  account_id  TEXT COLLATE "C" NOT NULL,
  approval_id TEXT COLLATE "C" NOT NULL,
  user_id     TEXT COLLATE "C" NOT NULL,
  approve     BOOLEAN NOT NULL,
  reason      TEXT NOT NULL,
  at          BIGINT NOT NULL,
  door        TEXT NOT NULL,
  PRIMARY KEY (account_id, approval_id, user_id),
  FOREIGN KEY (account_id, approval_id) REFERENCES approvals (account_id, id)
);

CREATE TABLE approval_links (
  hash        BYTEA NOT NULL PRIMARY KEY, -- SHA-256 of the token
  account_id  TEXT COLLATE "C" NOT NULL,
  approval_id TEXT COLLATE "C" NOT NULL,
  user_id     TEXT COLLATE "C" NOT NULL, -- to whom it was sent
  expires_at  BIGINT NOT NULL,
  used_at     BIGINT, -- NULL: not used
  FOREIGN KEY (account_id, approval_id) REFERENCES approvals (account_id, id)
);

CREATE TABLE questions (
  account_id  TEXT COLLATE "C" NOT NULL,
  id          TEXT COLLATE "C" NOT NULL,
  case_id     TEXT COLLATE "C" NOT NULL,
  run_id      TEXT COLLATE "C" NOT NULL,
  person_id   TEXT COLLATE "C" NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'denied', 'silent')),
  on_confirm  TEXT NOT NULL,
  on_deny     TEXT NOT NULL,
  on_silence  TEXT NOT NULL,
  asked_at    BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  answered_at BIGINT, -- NULL: not answered
  PRIMARY KEY (account_id, case_id, id),
  FOREIGN KEY (account_id, case_id) REFERENCES cases (account_id, id)
);
CREATE UNIQUE INDEX questions_id ON questions (account_id, id);
CREATE INDEX questions_case ON questions (account_id, case_id, asked_at, id);
CREATE INDEX questions_pending ON questions (account_id, person_id, asked_at, id) WHERE state = 'pending';

CREATE TABLE case_moments (
  account_id TEXT COLLATE "C" NOT NULL,
  case_id    TEXT COLLATE "C" NOT NULL,
  seq        BIGINT NOT NULL, -- 1, 2, 3… in the case
  at         BIGINT NOT NULL,
  kind       TEXT NOT NULL,
  actor      TEXT NOT NULL,
  facts      TEXT NOT NULL, -- JSON object of texts
  PRIMARY KEY (account_id, case_id, seq),
  FOREIGN KEY (account_id, case_id) REFERENCES cases (account_id, id)
);

CREATE TABLE targets (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  id         TEXT COLLATE "C" NOT NULL,
  name       TEXT NOT NULL,
  name_key   TEXT COLLATE "C" NOT NULL, -- NFC, case-folded
  kind       TEXT NOT NULL,
  config     TEXT NOT NULL, -- JSON, without secrets
  secret     BYTEA, -- sealed; NULL: none
  revision   BIGINT NOT NULL,
  last_error TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX targets_name ON targets (account_id, name_key);

CREATE TABLE channels (
  account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
  id         TEXT COLLATE "C" NOT NULL,
  name       TEXT NOT NULL,
  name_key   TEXT COLLATE "C" NOT NULL, -- NFC, case-folded
  kind       TEXT NOT NULL,
  config     TEXT NOT NULL, -- JSON, without secrets
  secret     BYTEA, -- sealed; NULL: none
  pages      BOOLEAN NOT NULL, -- it takes pages
  revision   BIGINT NOT NULL,
  last_error TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX channels_name ON channels (account_id, name_key);

-- +goose Down
DROP TABLE channels;
DROP TABLE targets;
DROP TABLE case_moments;
DROP TABLE questions;
DROP TABLE approval_links;
DROP TABLE approval_votes;
DROP TABLE approvals;
DROP INDEX holds_cases;
DROP TABLE actions;
DROP TABLE runs;
DROP TABLE case_findings;
DROP TABLE cases;
DROP TABLE playbook_versions;
DROP TABLE playbooks;
DROP TABLE guard_rails;
DROP TABLE respond_state;
