-- The log, the requests it is about, and what the store knows of itself. Times are ISO 8601 in UTC, to the microsecond,
-- always of one width, so that text order is time order.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row for each execution: the last `seq` given out.
CREATE TABLE streams (
    execution_id TEXT PRIMARY KEY,
    last_seq     INTEGER NOT NULL
) WITHOUT ROWID;

-- AUTOINCREMENT: a plain rowid is given out again after its row was removed, and a cursor would point to a stranger.
CREATE TABLE events (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    event_id     TEXT NOT NULL UNIQUE,
    type         TEXT NOT NULL,
    request_id   TEXT NOT NULL,
    data         BLOB NOT NULL
);
CREATE INDEX events_of_execution ON events (execution_id, position);

-- `position` is that of the asking event: the order in which requests are listed.
CREATE TABLE requests (
    request_id   TEXT PRIMARY KEY,
    position     INTEGER NOT NULL,
    execution_id TEXT NOT NULL,
    status       TEXT NOT NULL,
    durable      INTEGER NOT NULL,
    deadline_at  TEXT,
    settled_at   TEXT,
    data         BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX requests_in_order ON requests (position);
CREATE INDEX requests_by_status ON requests (status, position);
CREATE INDEX requests_of_execution ON requests (execution_id, position);
CREATE INDEX requests_due ON requests (deadline_at) WHERE status = 'pending' AND deadline_at IS NOT NULL;

-- `readable_from`: the oldest code (by its newest migration) that can work with this schema.
INSERT INTO meta (key, value) VALUES ('schema_version', '1'), ('readable_from', '1');
