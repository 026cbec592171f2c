-- What an agent kept to go on from where it asked; never part of an event.

CREATE TABLE resumes (
    request_id   TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    kept_at      TEXT NOT NULL,
    data         BLOB NOT NULL
);
CREATE INDEX resumes_of_execution ON resumes (execution_id);

-- Who may do a piece of work at present, until when.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  TEXT NOT NULL
) WITHOUT ROWID;

UPDATE meta SET value = '2' WHERE key = 'schema_version';
