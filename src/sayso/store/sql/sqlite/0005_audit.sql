-- What is noted of each change of a request; see audit.py. `data` is an entry's canonical JSON without its hash, `hash` the
-- SHA-256 of that. It outlives what it speaks of: retention removes nothing here.

CREATE TABLE audit (
    execution_id TEXT NOT NULL,
    number       INTEGER NOT NULL,
    hash         BLOB NOT NULL,
    data         BLOB NOT NULL
);
CREATE UNIQUE INDEX audit_chains ON audit (execution_id, number);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries stay'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries stay'); END;

-- Earlier code would change requests without a note of it.
UPDATE meta SET value = '5' WHERE key IN ('schema_version', 'readable_from');
