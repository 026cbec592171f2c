-- For stores that grow large and old: requests lie in asking order, so a list reads neighbours and a long one needs no
-- page of its own; streams know what is settled, so removing it looks at nothing else; what was removed leaves a
-- tombstone. `crc` is over all other columns; null in rows that were written before there was one.

CREATE TABLE requests_by_position (
    position     INTEGER PRIMARY KEY,
    request_id   TEXT NOT NULL UNIQUE,
    execution_id TEXT NOT NULL,
    status       TEXT NOT NULL,
    durable      INTEGER NOT NULL,
    deadline_at  TEXT,
    settled_at   TEXT,
    data         BLOB NOT NULL,
    crc          INTEGER
);
INSERT INTO requests_by_position (position, request_id, execution_id, status, durable, deadline_at, settled_at, data)
SELECT position, request_id, execution_id, status, durable, deadline_at, settled_at, data FROM requests
ORDER BY position;
DROP TABLE requests;
ALTER TABLE requests_by_position RENAME TO requests;

-- Each ends with the position, as every index does, so what it finds is in asking order.
CREATE INDEX requests_by_status ON requests (status);
CREATE INDEX requests_of_execution ON requests (execution_id, status);
CREATE INDEX requests_due ON requests (deadline_at) WHERE status = 'pending' AND deadline_at IS NOT NULL;
CREATE INDEX requests_of_process ON requests (durable) WHERE status = 'pending' AND durable = 0;

ALTER TABLE events ADD COLUMN crc INTEGER;

ALTER TABLE resumes ADD COLUMN crc INTEGER;

-- `pending`: requests that are; `quiet_since`: when something was last settled or kept.
ALTER TABLE streams ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN quiet_since TEXT;
UPDATE streams SET
    pending = (SELECT COUNT(*) FROM requests AS r WHERE r.execution_id = streams.execution_id AND r.status = 'pending'),
    quiet_since = nullif(max(
        ifnull((SELECT max(r.settled_at) FROM requests AS r WHERE r.execution_id = streams.execution_id), ''),
        ifnull((SELECT max(k.kept_at) FROM resumes AS k WHERE k.execution_id = streams.execution_id), '')
    ), '');
CREATE INDEX streams_quiet ON streams (quiet_since) WHERE pending = 0;

-- What is left of a request that was removed.
CREATE TABLE tombstones (
    request_id   TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    status       TEXT NOT NULL,
    settled_by   TEXT NOT NULL,
    settled_at   TEXT NOT NULL
) WITHOUT ROWID;

-- Tells this log apart from a backup of it.
INSERT INTO meta (key, value) VALUES ('lineage', lower(hex(randomblob(16))));

-- Earlier code would write rows whose `crc` is wrong.
UPDATE meta SET value = '3' WHERE key IN ('schema_version', 'readable_from');
