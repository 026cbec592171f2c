-- How far each notifier has come: `position` of the log, up to which everything is delivered or owed. An execution whose
-- deliveries fail, or wait for their time, has a row in `owed`: it stands at its own `position` until `due_at`.

CREATE TABLE sayso.notifiers (
    name     text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    version  bigint NOT NULL DEFAULT 0,
    off      text NOT NULL DEFAULT ''
);

CREATE TABLE sayso.owed (
    name         text COLLATE "C" NOT NULL,
    execution_id text COLLATE "C" NOT NULL,
    position     bigint NOT NULL,
    attempts     integer NOT NULL,
    due_at       timestamptz NOT NULL,
    why          text NOT NULL,
    PRIMARY KEY (name, execution_id)
);
CREATE INDEX owed_by_time ON sayso.owed (name, due_at);

-- One step of a notifier, all or none: false where somebody else has taken one since `known`.
CREATE FUNCTION sayso.notified(
    wanted text, known bigint, reached bigint, switched text, done text[], executions text[], positions bigint[],
    counts integer[], dues timestamptz[], whys text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sayso.notifiers SET position = reached, version = version + 1, off = switched
    WHERE name = wanted AND version = known;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM sayso.owed WHERE name = wanted AND execution_id = ANY(done);
    INSERT INTO sayso.owed AS o (name, execution_id, position, attempts, due_at, why)
    SELECT wanted, t.* FROM unnest(executions, positions, counts, dues, whys) AS t
    ON CONFLICT (name, execution_id) DO UPDATE SET position = excluded.position, attempts = excluded.attempts,
        due_at = excluded.due_at, why = excluded.why;
    RETURN true;
END
$$;

CREATE FUNCTION sayso.notify_again(wanted text, since bigint, now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sayso.notifiers SET position = least(position, since), version = version + 1, off = '' WHERE name = wanted;
    UPDATE sayso.owed SET position = least(position, since), attempts = 0, due_at = now WHERE name = wanted;
END
$$;

UPDATE sayso.meta SET value = '4' WHERE key = 'schema_version';
