-- Samples of hours and days, and rollups of what is older; chunks know when the newest of their records was received.
CREATE TABLE chunks_new (
    host     INTEGER NOT NULL,
    watcher  TEXT    NOT NULL,
    -- one record (zstd), an hour, a day, five-minute rollups of a day (stores/dense.rs); 9: could not be read, left as it was
    span     INTEGER NOT NULL CHECK (span IN (0, 1, 2, 3, 9)),
    receipt  INTEGER NOT NULL, -- of the record; once merged 0, or the number of the piece where one was not enough
    position INTEGER NOT NULL, -- in the record; once merged which series: its number by 64
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    block    BLOB    NOT NULL,
    PRIMARY KEY (host, watcher, span, receipt, position, start_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO chunks_new SELECT c.host, c.watcher, c.span, c.receipt, c.position, c.start_ms, c.end_ms,
    coalesce((SELECT l.received_ms FROM ledger l WHERE l.receipt = c.receipt), c.end_ms), c.block FROM chunks c;
DROP TABLE chunks;
ALTER TABLE chunks_new RENAME TO chunks;
CREATE INDEX chunks_to_merge ON chunks (span, start_ms, received_ms) WHERE span < 2;
CREATE INDEX chunks_to_drop ON chunks (span, received_ms) WHERE span >= 2;

-- Payloads lie beside the ledger, by how long they are kept, so that what goes leaves whole pages behind. In the ledger
-- stay the first bytes of those that could not be opened.
CREATE TABLE payloads (
    receipt     INTEGER PRIMARY KEY,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    payload     BLOB    NOT NULL
) STRICT;
CREATE TABLE sample_payloads (
    receipt     INTEGER PRIMARY KEY,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    payload     BLOB    NOT NULL
) STRICT;
INSERT INTO payloads SELECT receipt, epoch, seq, received_ms, payload FROM ledger
    WHERE payload IS NOT NULL AND reason IS NULL AND substr(header, 59, 1) <> x'01';
INSERT INTO sample_payloads SELECT receipt, epoch, seq, received_ms, payload FROM ledger
    WHERE payload IS NOT NULL AND reason IS NULL AND substr(header, 59, 1) = x'01';
UPDATE ledger SET payload = NULL WHERE reason IS NULL;

-- Runs of records of one epoch, moved out of the ledger: headers in columns, hashes of payloads, and where the chain stood
-- before and behind. The hash of each record follows from them (stores/sqlite/segments.rs).
CREATE TABLE segments (
    no      INTEGER PRIMARY KEY,
    epoch   INTEGER NOT NULL REFERENCES epochs (no),
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL CHECK (last >= first),
    prev    BLOB    NOT NULL CHECK (length(prev) = 32),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    records BLOB    NOT NULL,
    UNIQUE (epoch, first)
) STRICT;
CREATE TRIGGER segments_keep BEFORE DELETE ON segments BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END;
CREATE TRIGGER segments_stay BEFORE UPDATE ON segments BEGIN SELECT RAISE(ABORT, 'records are never changed'); END;

-- A record leaves the ledger only for the segment that has it.
DROP TRIGGER ledger_keeps;
CREATE TRIGGER ledger_keeps BEFORE DELETE ON ledger WHEN NOT EXISTS (
    SELECT 1 FROM segments WHERE epoch = OLD.epoch AND first = (
        SELECT max(first) FROM segments WHERE epoch = OLD.epoch AND first <= OLD.seq
    ) AND last >= OLD.seq
) BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END;

-- `retention.receipt`: up to here everything that can be packed is packed.
DELETE FROM retention;

-- How far a table without a time of receipt had come by a day.
CREATE TABLE marks (
    day          INTEGER PRIMARY KEY, -- days since 1970-01-01
    fact_history INTEGER NOT NULL
) STRICT;
