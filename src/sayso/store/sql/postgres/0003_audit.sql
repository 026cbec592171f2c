-- What is noted of each change of a request; see audit.py. `data` is an entry's canonical JSON without its hash, `hash` the
-- SHA-256 of that. It outlives what it speaks of: retention removes nothing here.

CREATE TABLE sayso.audit (
    execution_id text COLLATE "C" NOT NULL,
    number       bigint NOT NULL,
    hash         bytea NOT NULL,
    data         bytea NOT NULL,
    PRIMARY KEY (execution_id, number)
);

CREATE FUNCTION sayso.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries stay';
END
$$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON sayso.audit
FOR EACH STATEMENT EXECUTE FUNCTION sayso.refuse();

-- `sayso.append` with an entry in the audit for each item that is stored: the entry's bytes before its number, and after
-- the hash of the one before it. Whose turn it is to append is alone in every chain, too.
CREATE FUNCTION sayso.append_2(
    asks boolean[], request_ids text[], execution_ids text[], statuses text[], durables boolean[],
    deadlines timestamptz[], settled_ats timestamptz[], settled_bys text[], nodes integer[], datas bytea[],
    event_ids text[], heads bytea[], tails bytea[], note_heads bytea[], note_tails bytea[]
) RETURNS TABLE (outcome text, stored bytea, at bigint) LANGUAGE plpgsql AS $$
DECLARE
    item record;
    before bigint;
    last bigint;
    number bigint;
    entry_number bigint;
    entry_hash bytea;
    entry bytea;
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    SELECT position INTO before FROM sayso.feed FOR UPDATE;
    last := before;
    FOR item IN
        SELECT * FROM unnest(
            asks, request_ids, execution_ids, statuses, durables, deadlines, settled_ats, settled_bys, nodes, datas,
            event_ids, heads, tails, note_heads, note_tails
        ) AS t (asks, request_id, execution_id, status, durable, deadline_at, settled_at, settled_by, node, data,
                event_id, head, tail, note_head, note_tail)
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

            SELECT a.number, a.hash INTO entry_number, entry_hash FROM sayso.audit AS a
            WHERE a.execution_id = item.execution_id ORDER BY a.number DESC LIMIT 1;
            entry_number := coalesce(entry_number, 0) + 1;
            entry := item.note_head || convert_to(
                entry_number || ',"previous":"' || coalesce(encode(entry_hash, 'hex'), repeat('0', 64)) || '"', 'UTF8'
            ) || item.note_tail;
            INSERT INTO sayso.audit (execution_id, number, hash, data)
            VALUES (item.execution_id, entry_number, sha256(entry), entry);
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

-- Earlier code would change requests without a note of it. Where it runs already, it goes on until it is stopped:
-- `sayso.append` is what it was.
UPDATE sayso.meta SET value = '3' WHERE key IN ('schema_version', 'readable_from');
