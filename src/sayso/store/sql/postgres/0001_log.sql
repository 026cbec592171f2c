-- The log, the requests it is about, and what the store knows of itself; all in a schema of its own, so that a database may
-- be shared with other programs. Ids are ASCII and compared as bytes.

CREATE SCHEMA IF NOT EXISTS sayso;

CREATE TABLE sayso.meta (
    key   text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- One row. Its lock is the turn to append: `position`, the last one given out, grows by one with each event, and becomes
-- visible in that order. `pruned_to`: the highest position of a pruned event. `origin`: the cursor before every event.
CREATE TABLE sayso.feed (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    position  bigint NOT NULL DEFAULT 0,
    pruned_to bigint NOT NULL DEFAULT 0,
    origin    text COLLATE "C" NOT NULL DEFAULT gen_random_uuid()
) WITH (fillfactor = 10);
INSERT INTO sayso.feed DEFAULT VALUES;

-- One row for each execution: the last `seq` given out, how many of its requests are pending, and when something was last
-- settled or kept.
CREATE TABLE sayso.streams (
    execution_id text COLLATE "C" PRIMARY KEY,
    last_seq     bigint NOT NULL,
    pending      bigint NOT NULL DEFAULT 0,
    quiet_since  timestamptz
) WITH (fillfactor = 80);
CREATE INDEX streams_quiet ON sayso.streams (quiet_since, execution_id) WHERE pending = 0;

CREATE TABLE sayso.events (
    position     bigint PRIMARY KEY,
    execution_id text COLLATE "C" NOT NULL,
    seq          bigint NOT NULL,
    event_id     text COLLATE "C" NOT NULL UNIQUE,
    type         text COLLATE "C" NOT NULL,
    request_id   text COLLATE "C" NOT NULL,
    data         bytea NOT NULL
);
CREATE INDEX events_of_execution ON sayso.events (execution_id, position);

-- `position` is that of the asking event: the order in which requests are listed. `node`: the process whose own question
-- it is, where nobody else could take its answer.
CREATE TABLE sayso.requests (
    position     bigint PRIMARY KEY,
    request_id   text COLLATE "C" NOT NULL UNIQUE,
    execution_id text COLLATE "C" NOT NULL,
    status       text COLLATE "C" NOT NULL,
    durable      boolean NOT NULL,
    deadline_at  timestamptz,
    settled_at   timestamptz,
    settled_by   text,
    node         integer,
    data         bytea NOT NULL
);
CREATE INDEX requests_by_status ON sayso.requests (status, position);
CREATE INDEX requests_of_execution ON sayso.requests (execution_id, status, position);
CREATE INDEX requests_due ON sayso.requests (deadline_at) WHERE status = 'pending' AND deadline_at IS NOT NULL;
CREATE INDEX requests_of_process ON sayso.requests (node, position) WHERE status = 'pending' AND NOT durable;

-- What is left of a request that was removed.
CREATE TABLE sayso.tombstones (
    request_id   text COLLATE "C" PRIMARY KEY,
    execution_id text COLLATE "C" NOT NULL,
    status       text COLLATE "C" NOT NULL,
    settled_by   text NOT NULL,
    settled_at   timestamptz NOT NULL
);

-- What an agent kept to go on from where it asked; never part of an event.
CREATE TABLE sayso.resumes (
    request_id   text COLLATE "C" PRIMARY KEY,
    execution_id text COLLATE "C" NOT NULL,
    kept_at      timestamptz NOT NULL,
    data         bytea NOT NULL
);
CREATE INDEX resumes_of_execution ON sayso.resumes (execution_id, request_id);

-- Who may do a piece of work at present, until when.
CREATE TABLE sayso.leases (
    name   text COLLATE "C" PRIMARY KEY,
    holder text NOT NULL,
    until  timestamptz NOT NULL
);

-- Appends a batch in one transaction, which nobody but the database can keep open: a node that is stopped in the middle of
-- its work never holds the feed. Says of each item what became of it:
--   done      it was stored
--   there     (asking) the id is taken, (settling) the request is settled: `stored` is that request
--   removed   (asking) the id belongs to a request that was pruned
--   unknown   (settling) there is no such request
CREATE FUNCTION sayso.append(
    asks boolean[], request_ids text[], execution_ids text[], statuses text[], durables boolean[],
    deadlines timestamptz[], settled_ats timestamptz[], settled_bys text[], nodes integer[], datas bytea[],
    event_ids text[], heads bytea[], tails bytea[]
) RETURNS TABLE (outcome text, stored bytea, at bigint) LANGUAGE plpgsql AS $$
DECLARE
    item record;
    before bigint;
    last bigint;
    number bigint;
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    SELECT position INTO before FROM sayso.feed FOR UPDATE;
    last := before;
    FOR item IN
        SELECT * FROM unnest(
            asks, request_ids, execution_ids, statuses, durables, deadlines, settled_ats, settled_bys, nodes, datas,
            event_ids, heads, tails
        ) AS t (asks, request_id, execution_id, status, durable, deadline_at, settled_at, settled_by, node, data,
                event_id, head, tail)
    LOOP
        at := NULL;
        stored := NULL;
        IF item.asks THEN
            INSERT INTO sayso.requests (position, request_id, execution_id, status, durable, deadline_at, node, data)
            SELECT last + 1, item.request_id, item.execution_id, item.status, item.durable, item.deadline_at,
                   item.node, item.data
            WHERE NOT EXISTS (SELECT FROM sayso.tombstones AS t WHERE t.request_id = item.request_id)
            ON CONFLICT (request_id) DO NOTHING;
            IF FOUND THEN
                INSERT INTO sayso.streams AS s (execution_id, last_seq, pending) VALUES (item.execution_id, 1, 1)
                ON CONFLICT (execution_id) DO UPDATE SET last_seq = s.last_seq + 1, pending = s.pending + 1
                RETURNING s.last_seq INTO number;
                outcome := 'done';
            END IF;
        ELSE
            UPDATE sayso.requests AS r SET status = item.status, settled_at = item.settled_at,
                settled_by = item.settled_by, data = item.data
            WHERE r.request_id = item.request_id AND r.status = 'pending';
            IF FOUND THEN
                UPDATE sayso.streams AS s SET last_seq = s.last_seq + 1, pending = s.pending - 1,
                    quiet_since = greatest(s.quiet_since, item.settled_at)
                WHERE s.execution_id = item.execution_id
                RETURNING s.last_seq INTO number;
                outcome := 'done';
            END IF;
        END IF;
        IF FOUND THEN
            last := last + 1;
            at := last;
            INSERT INTO sayso.events (position, execution_id, seq, event_id, type, request_id, data)
            VALUES (last, item.execution_id, number, item.event_id,
                    CASE WHEN item.asks THEN 'human_input_required' ELSE 'human_input_completed' END,
                    item.request_id, item.head || convert_to(number::text, 'UTF8') || item.tail);
        ELSE
            SELECT r.data INTO stored FROM sayso.requests AS r WHERE r.request_id = item.request_id;
            outcome := CASE WHEN FOUND THEN 'there' WHEN item.asks THEN 'removed' ELSE 'unknown' END;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF last > before THEN
        UPDATE sayso.feed SET position = last;
    END IF;
END
$$;

-- Keeps what an agent needs to go on. What was kept first stays: it belongs to the question that was asked with it.
CREATE FUNCTION sayso.keep(id text, execution text, kept timestamptz, contents bytea)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    INSERT INTO sayso.streams AS s (execution_id, last_seq, quiet_since) VALUES (execution, 0, kept)
    ON CONFLICT (execution_id) DO UPDATE SET quiet_since = greatest(s.quiet_since, kept);
    INSERT INTO sayso.resumes (request_id, execution_id, kept_at, data) VALUES (id, execution, kept, contents)
    ON CONFLICT (request_id) DO NOTHING;
END
$$;

-- Removes at most `most` events and things kept, of executions that fell silent before `before`, and says how many. What
-- comes after a lock sees what was committed until then: each statement looks anew.
CREATE FUNCTION sayso.prune(before timestamptz, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    left_over integer := most;
    execution text;
    gone integer;
    reached bigint;
    highest bigint := 0;
BEGIN
    PERFORM FROM sayso.feed FOR UPDATE;
    WHILE left_over > 0 LOOP
        SELECT s.execution_id INTO execution FROM sayso.streams AS s
        WHERE s.pending = 0 AND s.quiet_since < before
        ORDER BY s.quiet_since, s.execution_id LIMIT 1 FOR UPDATE;
        EXIT WHEN NOT FOUND;

        DELETE FROM sayso.resumes WHERE request_id IN (
            SELECT k.request_id FROM sayso.resumes AS k
            WHERE k.execution_id = execution ORDER BY k.request_id LIMIT left_over
        );
        GET DIAGNOSTICS gone = ROW_COUNT;
        left_over := left_over - gone;

        SELECT count(*), max(position) INTO gone, reached FROM (
            SELECT e.position FROM sayso.events AS e
            WHERE e.execution_id = execution ORDER BY e.position LIMIT left_over
        ) AS first;
        WITH ended AS (
            SELECT e.request_id FROM sayso.events AS e
            WHERE e.execution_id = execution AND e.position <= reached AND e.type = 'human_input_completed'
        ), removed AS (
            DELETE FROM sayso.requests AS r USING ended WHERE r.request_id = ended.request_id RETURNING r.*
        )
        INSERT INTO sayso.tombstones (request_id, execution_id, status, settled_by, settled_at)
        SELECT request_id, execution_id, status, coalesce(settled_by, ''), settled_at FROM removed
        ON CONFLICT (request_id) DO NOTHING;
        DELETE FROM sayso.events AS e WHERE e.execution_id = execution AND e.position <= reached;
        DELETE FROM sayso.streams AS s WHERE s.execution_id = execution
            AND NOT EXISTS (SELECT FROM sayso.events AS e WHERE e.execution_id = execution)
            AND NOT EXISTS (SELECT FROM sayso.resumes AS k WHERE k.execution_id = execution);
        left_over := left_over - gone;
        highest := greatest(highest, reached);
    END LOOP;
    IF highest > 0 THEN  -- the old origin lies before what is gone
        UPDATE sayso.feed SET pruned_to = greatest(pruned_to, highest), origin = gen_random_uuid();
    END IF;
    IF left_over > 0 THEN
        DELETE FROM sayso.leases WHERE until < before;
    END IF;
    RETURN most - left_over;
END
$$;

-- `readable_from`: the oldest code (by its newest migration) that can work with this schema.
INSERT INTO sayso.meta (key, value) VALUES ('schema_version', '1'), ('readable_from', '1');
