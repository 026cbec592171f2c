-- Devices that are told by Web Push. How far each was told stands in `notifiers`, under push:<id>.

CREATE TABLE sayso.subscriptions (
    id   text COLLATE "C" PRIMARY KEY,
    data bytea NOT NULL
);

UPDATE sayso.meta SET value = '5' WHERE key = 'schema_version';
