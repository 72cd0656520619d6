-- Users of the query port: what each may do, for hosts of which labels, and the one key that speaks for it.
CREATE TABLE users (
    name         TEXT    PRIMARY KEY,
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    labels       TEXT    NOT NULL, -- JSON object of strings; empty: every host
    key_hash     BLOB    NOT NULL CHECK (length(key_hash) = 32),
    created_ms   INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL,
    revoked_ms   INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE user_issuances (
    no           INTEGER PRIMARY KEY,
    user         TEXT    NOT NULL,
    serial       BLOB    NOT NULL,
    key_hash     BLOB    NOT NULL CHECK (length(key_hash) = 32),
    not_after_ms INTEGER NOT NULL,
    issued_ms    INTEGER NOT NULL,
    chain        BLOB    NOT NULL
) STRICT;
CREATE INDEX user_issuances_by_user ON user_issuances (user);
CREATE TRIGGER user_issuances_keep BEFORE DELETE ON user_issuances BEGIN SELECT RAISE(ABORT, 'issued certificates are never deleted'); END;
CREATE TRIGGER user_issuances_stay BEFORE UPDATE ON user_issuances BEGIN SELECT RAISE(ABORT, 'issued certificates are never changed'); END;
