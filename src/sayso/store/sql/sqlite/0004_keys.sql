-- Keys by their hashes, and the tickets that were used. `data` is all of a key but its last use, which `crc` leaves out.

CREATE TABLE keys (
    id           TEXT PRIMARY KEY,
    last_used_at TEXT,
    data         BLOB NOT NULL,
    crc          INTEGER NOT NULL
) WITHOUT ROWID;

-- A ticket opens once: its second row is refused.
CREATE TABLE tickets (
    id    TEXT PRIMARY KEY,
    until TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_by_end ON tickets (until);

UPDATE meta SET value = '4' WHERE key = 'schema_version';
