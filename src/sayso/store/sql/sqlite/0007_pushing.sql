-- Devices that are told by Web Push. How far each was told stands in `notifiers`, under push:<id>.

CREATE TABLE subscriptions (
    id   TEXT PRIMARY KEY,
    data BLOB NOT NULL,
    crc  INTEGER NOT NULL
) WITHOUT ROWID;

UPDATE meta SET value = '7' WHERE key = 'schema_version';
