-- Times are milliseconds since 1970-01-01 UTC (`_ms`). Hosts and epochs are numbered here (`no`), so that keys stay
-- short; what hosts said is BLOB, as it came. Blobs of values are protobuf messages of stores/sqlite/codec.rs.

-- Who -----------------------------------------------------------------------------------------------------------------

CREATE TABLE hosts (
    no          INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    name        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('active', 'suspended', 'revoked', 'retired')),
    labels      TEXT    NOT NULL, -- JSON object of strings
    enrolled_ms INTEGER NOT NULL,
    seen_ms     INTEGER,          -- a Hello; records move epochs.seen_ms
    skew_ms     INTEGER NOT NULL,
    build       TEXT    NOT NULL,
    generation  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX hosts_by_name ON hosts (name) WHERE state <> 'retired';

CREATE TABLE tokens (
    id          BLOB    PRIMARY KEY CHECK (length(id) = 16),
    secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    name        TEXT,
    labels      TEXT    NOT NULL,
    uses_left   INTEGER NOT NULL,
    failures    INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE issuances (
    no           INTEGER PRIMARY KEY,
    host         INTEGER NOT NULL REFERENCES hosts (no),
    serial       BLOB    NOT NULL,
    generation   INTEGER NOT NULL,
    key_hash     BLOB    NOT NULL CHECK (length(key_hash) = 32),
    not_after_ms INTEGER NOT NULL,
    issued_ms    INTEGER NOT NULL,
    token        BLOB,
    chain        BLOB    NOT NULL
) STRICT;
CREATE INDEX issuances_by_host ON issuances (host);
CREATE INDEX issuances_by_token ON issuances (token) WHERE token IS NOT NULL;
CREATE TRIGGER issuances_keep BEFORE DELETE ON issuances BEGIN SELECT RAISE(ABORT, 'issued certificates are never deleted'); END;
CREATE TRIGGER issuances_stay BEFORE UPDATE ON issuances BEGIN SELECT RAISE(ABORT, 'issued certificates are never changed'); END;

-- What was received ---------------------------------------------------------------------------------------------------

-- One spool of one host, and the head of its chain.
CREATE TABLE epochs (
    no         INTEGER PRIMARY KEY,
    host       INTEGER NOT NULL REFERENCES hosts (no),
    epoch      BLOB    NOT NULL CHECK (length(epoch) = 16),
    next_seq   INTEGER NOT NULL,
    hash       BLOB    NOT NULL CHECK (length(hash) = 32), -- of the record before next_seq
    superseded INTEGER NOT NULL CHECK (superseded IN (0, 1)),
    begun_ms   INTEGER NOT NULL,
    seen_ms    INTEGER NOT NULL,
    UNIQUE (host, epoch)
) STRICT;

-- Records in order of receipt. The hash of the one before is not kept: it is the hash of the row before, or of a gap.
CREATE TABLE ledger (
    receipt      INTEGER PRIMARY KEY,
    epoch        INTEGER NOT NULL REFERENCES epochs (no),
    seq          INTEGER NOT NULL,
    header       BLOB    NOT NULL CHECK (length(header) = 68),
    payload_hash BLOB    NOT NULL CHECK (length(payload_hash) = 32),
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    received_ms  INTEGER NOT NULL,
    skew_ms      INTEGER NOT NULL,
    reason       TEXT,   -- why it could not be opened; then only the first bytes of the payload are kept
    payload      BLOB,   -- as sent; NULL once it is no longer needed
    UNIQUE (epoch, seq)
) STRICT;
CREATE TRIGGER ledger_keeps BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END;
CREATE TRIGGER ledger_stays BEFORE UPDATE OF receipt, epoch, seq, header, payload_hash, hash, received_ms, skew_ms, reason
    ON ledger BEGIN SELECT RAISE(ABORT, 'records are never changed'); END;

-- How far old payloads have been dropped.
CREATE TABLE retention (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    receipt INTEGER NOT NULL
) STRICT;

-- Runs of records that a host said it had to drop.
CREATE TABLE gaps (
    epoch       INTEGER NOT NULL REFERENCES epochs (no),
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    last_hash   BLOB    NOT NULL CHECK (length(last_hash) = 32),
    records     INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (epoch, first)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER gaps_keep BEFORE DELETE ON gaps BEGIN SELECT RAISE(ABORT, 'gaps are never deleted'); END;
CREATE TRIGGER gaps_stay BEFORE UPDATE ON gaps BEGIN SELECT RAISE(ABORT, 'gaps are never changed'); END;

CREATE TABLE quarantine (
    no          INTEGER PRIMARY KEY,
    host        INTEGER NOT NULL,
    epoch       BLOB    NOT NULL,
    seq         BLOB    NOT NULL, -- 8 bytes, big-endian: a foreign number may be beyond what INTEGER holds
    hash        BLOB    NOT NULL,
    reason      TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    head        BLOB    NOT NULL,
    received_ms INTEGER NOT NULL,
    UNIQUE (host, epoch, seq, hash)
) STRICT;

-- Declarations of an epoch, in the order of its records; zstd.
CREATE TABLE dictionaries (
    epoch    INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    declared BLOB    NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

-- What is known -------------------------------------------------------------------------------------------------------

-- Declarations are the same on many hosts: each is kept once.
CREATE TABLE declarations (
    no   INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    decl BLOB NOT NULL,
    UNIQUE (name, decl)
) STRICT;

CREATE TABLE host_tables (
    host INTEGER NOT NULL,
    name TEXT    NOT NULL,
    decl INTEGER NOT NULL REFERENCES declarations (no),
    PRIMARY KEY (host, name)
) STRICT, WITHOUT ROWID;

-- Rows as they stand. A row that stands and is not stale was confirmed when its owner last finished a look
-- (watchers.complete_ms), so that a look which finds nothing new writes no row here.
CREATE TABLE facts (
    host         INTEGER NOT NULL,
    tbl          TEXT    NOT NULL,
    key          BLOB    NOT NULL,
    owner        TEXT    NOT NULL,
    fact         BLOB    NOT NULL,
    since_ms     INTEGER NOT NULL,
    confirmed_ms INTEGER NOT NULL,
    stale        TEXT,
    look         INTEGER NOT NULL,
    PRIMARY KEY (host, tbl, key)
) STRICT, WITHOUT ROWID;

-- Rows as they were.
CREATE TABLE fact_history (
    no       INTEGER PRIMARY KEY,
    host     INTEGER NOT NULL,
    tbl      TEXT    NOT NULL,
    key      BLOB    NOT NULL,
    owner    TEXT    NOT NULL,
    fact     BLOB    NOT NULL,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL CHECK (until_ms >= since_ms)
) STRICT;
CREATE INDEX fact_history_by_time ON fact_history (host, until_ms);

-- What was approved, row by row; and for each table whose rows have a baseline, with what could not be seen then.
CREATE TABLE baselines (
    host   INTEGER NOT NULL,
    tbl    TEXT    NOT NULL,
    key    BLOB    NOT NULL,
    fields BLOB    NOT NULL,
    PRIMARY KEY (host, tbl, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline_owners (
    host   INTEGER NOT NULL,
    tbl    TEXT    NOT NULL,
    owners BLOB    NOT NULL,
    PRIMARY KEY (host, tbl)
) STRICT, WITHOUT ROWID;

CREATE TABLE watchers (
    host        INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    look        INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    outcome     TEXT    NOT NULL CHECK (outcome IN ('done', 'more', 'absent', 'failed')),
    details     BLOB    NOT NULL, -- its problems, and how far a full tell has come
    complete_ms INTEGER,
    PRIMARY KEY (host, name)
) STRICT, WITHOUT ROWID;

-- Numbered by the host over all its epochs, so that chunks of different epochs can be merged. `risen_ms` is when a
-- counter last grew; while it keeps growing it is written now and then only.
CREATE TABLE series (
    host     INTEGER NOT NULL,
    id       INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    kind     TEXT    NOT NULL CHECK (kind IN ('counter', 'gauge')),
    labels   BLOB    NOT NULL,
    risen_ms INTEGER,
    PRIMARY KEY (host, id)
) STRICT, WITHOUT ROWID;

-- Samples in columns; zstd. Those of one record lie in order of receipt, so that the newest is found whatever a host's
-- clock said.
CREATE TABLE chunks (
    host     INTEGER NOT NULL,
    watcher  TEXT    NOT NULL,
    span     INTEGER NOT NULL CHECK (span IN (0, 1, 2)), -- one record, an hour, a day
    receipt  INTEGER NOT NULL, -- of the record; 0 once merged
    position INTEGER NOT NULL, -- in the record; 0 once merged
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL,
    block    BLOB    NOT NULL,
    PRIMARY KEY (host, watcher, span, receipt, position, start_ms)
) STRICT, WITHOUT ROWID;

-- `no` is the order of receipt. Epoch 0: the collector itself.
CREATE TABLE events (
    no       INTEGER PRIMARY KEY,
    host     INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    position INTEGER NOT NULL,
    watcher  TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    severity INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 3),
    text     BLOB    NOT NULL,
    fields   BLOB    NOT NULL,
    count    INTEGER NOT NULL,
    UNIQUE (host, epoch, seq, position)
) STRICT;
CREATE INDEX events_by_host ON events (host);
CREATE INDEX events_critical ON events (host, received_ms) WHERE severity = 3;

-- What was judged -----------------------------------------------------------------------------------------------------

CREATE TABLE drifts (
    id         INTEGER PRIMARY KEY,
    host       INTEGER NOT NULL,
    identity   BLOB    NOT NULL CHECK (length(identity) = 32),
    kind       TEXT    NOT NULL,
    severity   INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 3),
    subject    BLOB    NOT NULL,
    rule       TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    expected   TEXT,
    actual     TEXT,
    cause      TEXT,
    hint       TEXT,
    hold_ms    INTEGER NOT NULL,
    calm_ms    INTEGER NOT NULL,
    began_ms   INTEGER,          -- as its detector knows it
    state      TEXT    NOT NULL,
    live       INTEGER NOT NULL CHECK (live IN (0, 1)), -- may still open, change or close
    since_ms   INTEGER NOT NULL,
    opened_ms  INTEGER,
    closed_ms  INTEGER,
    calmed_ms  INTEGER,          -- since when it has held again
    unknown    TEXT,
    transition INTEGER NOT NULL,
    alerted_ms INTEGER,
    silenced   INTEGER NOT NULL CHECK (silenced IN (0, 1)),
    note       TEXT
) STRICT;
CREATE INDEX drifts_live ON drifts (host) WHERE live = 1;
CREATE INDEX drifts_by_host ON drifts (host);

-- The outbox: one row a transition.
CREATE TABLE alerts (
    no         INTEGER PRIMARY KEY,
    drift      INTEGER NOT NULL REFERENCES drifts (id),
    transition INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL,
    host       TEXT    NOT NULL,
    labels     TEXT    NOT NULL,
    severity   INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 3),
    body       TEXT    NOT NULL,
    UNIQUE (drift, transition)
) STRICT;

-- Up to which alert everything is in a message of a receiver, or was passed over by it.
CREATE TABLE receivers (
    name    TEXT    PRIMARY KEY,
    through INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    no          INTEGER PRIMARY KEY,
    receiver    TEXT    NOT NULL,
    key         BLOB    NOT NULL CHECK (length(key) = 32),
    created_ms  INTEGER NOT NULL,
    tries       INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    next_try_ms INTEGER,
    last_error  TEXT,
    UNIQUE (receiver, key)
) STRICT;
CREATE INDEX messages_waiting ON messages (receiver) WHERE state = 'waiting';

-- message NULL: this receiver passes the alert over.
CREATE TABLE message_alerts (
    receiver   TEXT    NOT NULL,
    drift      INTEGER NOT NULL,
    transition INTEGER NOT NULL,
    message    INTEGER REFERENCES messages (no),
    PRIMARY KEY (receiver, drift, transition)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_alerts_by_message ON message_alerts (message) WHERE message IS NOT NULL;

-- Who changed what ----------------------------------------------------------------------------------------------------

CREATE TABLE audit (
    no      INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject BLOB    NOT NULL,
    allowed INTEGER NOT NULL CHECK (allowed IN (0, 1)),
    detail  TEXT    NOT NULL,
    hash    BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;

-- How far the audit chain has come: entries missing at its end are noticed.
CREATE TABLE audit_head (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    entries INTEGER NOT NULL,
    hash    BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
