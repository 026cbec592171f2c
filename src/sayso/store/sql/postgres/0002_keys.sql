-- Keys by their hashes, and the tickets that were used. `data` is all of a key but its last use.

CREATE TABLE sayso.keys (
    id           text COLLATE "C" PRIMARY KEY,
    last_used_at timestamptz,
    data         bytea NOT NULL
);

-- A ticket opens once: its second row is refused.
CREATE TABLE sayso.tickets (
    id    text COLLATE "C" PRIMARY KEY,
    until timestamptz NOT NULL
);
CREATE INDEX tickets_by_end ON sayso.tickets (until);

UPDATE sayso.meta SET value = '2' WHERE key = 'schema_version';
