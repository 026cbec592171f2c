-- How far each notifier has come: `position` of the log, up to which everything is delivered or owed. An execution whose
-- deliveries fail, or wait for their time, has a row in `owed`: it stands at its own `position` until `due_at`.

CREATE TABLE notifiers (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    version  INTEGER NOT NULL DEFAULT 0,
    off      TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE owed (
    name         TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    position     INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    due_at       TEXT NOT NULL,
    why          TEXT NOT NULL,
    PRIMARY KEY (name, execution_id)
) WITHOUT ROWID;
CREATE INDEX owed_by_time ON owed (name, due_at);

UPDATE meta SET value = '6' WHERE key = 'schema_version';
