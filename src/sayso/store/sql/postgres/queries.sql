-- Every statement of the PostgreSQL store, by name. Each is a transaction of its own: one way there and back.

-- name: exists
-- Not `to_regclass`, which may remember that there was nothing before somebody else made it.
SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'sayso' AND tablename = 'meta');

-- name: all_meta
SELECT key, value FROM sayso.meta WHERE key IN ('schema_version', 'readable_from');

-- name: append
SELECT outcome, stored, at
FROM sayso.append_2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: audit_all
SELECT execution_id, number, hash, data FROM sayso.audit
WHERE (execution_id, number) > ($1, $2) ORDER BY execution_id, number LIMIT $3;

-- name: audit_execution
SELECT execution_id, number, hash, data FROM sayso.audit
WHERE execution_id = $1 AND number > $2 ORDER BY number LIMIT $3;

-- name: get_request
SELECT data FROM sayso.requests WHERE request_id = $1;

-- name: count_pending
-- PostgreSQL's text holds no U+0000, and its JSON is read up to the first one that is escaped; so those are left out.
SELECT coalesce((CASE WHEN strpos(written, '\u0000') > 0
    THEN regexp_replace(written, '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g') ELSE written END)::json ->> 'asked_by', ''),
    execution_id, count(*)
FROM (SELECT convert_from(data, 'UTF8') AS written, execution_id FROM sayso.requests WHERE status = 'pending') AS open
GROUP BY 1, 2;

-- name: count_open
SELECT count(*) FROM (SELECT FROM sayso.requests WHERE status = 'pending' LIMIT $1) AS counted;

-- name: get_tombstone
SELECT request_id, execution_id, status, settled_by, settled_at FROM sayso.tombstones WHERE request_id = $1;

-- name: locate
SELECT execution_id, position, position < (SELECT pruned_to FROM sayso.feed) AS has_gap
FROM sayso.events WHERE event_id = $1
UNION ALL SELECT NULL, 0, false FROM sayso.feed WHERE origin = $1;

-- name: read
-- No further than until the events are so many bytes; the last one may go beyond.
SELECT position, execution_id, seq, event_id, type, request_id, data FROM (
    SELECT e.*, sum(octet_length(e.data)) OVER (ORDER BY position) - octet_length(e.data) AS before
    FROM (SELECT * FROM sayso.events WHERE {which} position > $1 ORDER BY position LIMIT $2) AS e
) AS sized WHERE before < $3 ORDER BY position;

-- name: read_open
SELECT position, execution_id, seq, event_id, type, request_id, data FROM (
    SELECT e.*, sum(octet_length(e.data)) OVER (ORDER BY e.position) - octet_length(e.data) AS before
    FROM (
        SELECT e.* FROM sayso.requests AS r JOIN sayso.events AS e ON e.position = r.position
        WHERE {which} r.status = 'pending' AND r.position > $1 ORDER BY r.position LIMIT $2
    ) AS e
) AS sized WHERE before < $3 ORDER BY position;

-- name: list
-- The requests and the head of their stream, seen at one moment; no further than until they are so many bytes. `found`: how
-- many there were before that.
SELECT coalesce(last.event_id, feed.origin) AS head_event_id, coalesce(last.position, 0) AS head,
       r.position, r.data, r.found
FROM sayso.feed
LEFT JOIN LATERAL (
    SELECT e.event_id, e.position FROM sayso.events AS e WHERE {which} true ORDER BY e.position DESC LIMIT 1
) AS last ON true
LEFT JOIN LATERAL (
    SELECT r.position, r.data, count(*) OVER () AS found,
           sum(octet_length(r.data)) OVER (ORDER BY r.position {order}) - octet_length(r.data) AS before
    FROM (SELECT position FROM ({positions}) AS merged ORDER BY position {order} LIMIT $1) AS fitting
    JOIN sayso.requests AS r ON r.position = fitting.position
) AS r ON r.before < $3
ORDER BY r.position {order};

-- name: keep
SELECT sayso.keep($1, $2, $3, $4);

-- name: get_resume
SELECT execution_id, data FROM sayso.resumes WHERE request_id = $1;

-- name: take_lease
INSERT INTO sayso.leases AS l (name, holder, until) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE l.holder = excluded.holder OR l.until <= $4
RETURNING true;

-- name: release_lease
DELETE FROM sayso.leases WHERE name = $1 AND holder = $2;

-- name: prune
SELECT sayso.prune($1, $2);

-- name: make_secret
-- On the disk before anything is signed with it, whatever the database is told.
WITH lasting AS (
    SELECT set_config('synchronous_commit', CASE WHEN now IN ('off', 'local') THEN 'on' ELSE now END, true)
    FROM current_setting('synchronous_commit') AS now
)
INSERT INTO sayso.meta (key, value) SELECT $1, $2 FROM lasting ON CONFLICT (key) DO NOTHING;

-- name: get_meta
SELECT value FROM sayso.meta WHERE key = $1;

-- name: notify
-- What is said is a hint: nobody need wait until it is on the disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('sayso', $1);

-- name: last_position
SELECT position FROM sayso.feed;

-- name: ids_at
SELECT position, event_id FROM sayso.events WHERE position = ANY($1::bigint[]);

-- name: changed
-- At most so many executions; one more says that there are others.
SELECT execution_id, max(position) AS position FROM sayso.events WHERE position > $1 AND position <= $2
GROUP BY execution_id LIMIT $3;

-- name: try_lock
SELECT pg_try_advisory_lock($1, $2);

-- name: gone_nodes
-- Processes that own pending questions and do not hold the lock that each holds while it lives.
SELECT DISTINCT node FROM sayso.requests AS r
WHERE status = 'pending' AND NOT durable AND node IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.classid = $1::bigint::oid AND l.objid = r.node::bigint::oid AND l.objsubid = 2
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
);

-- name: orphans
SELECT data FROM sayso.requests
WHERE status = 'pending' AND NOT durable AND node = ANY($1::integer[]) ORDER BY position LIMIT $2;

-- What a move from another engine does, in one transaction: see `sayso.store.moving`.

-- name: move_settings
-- A move is on the disk when it is told as done, and may take as long as it takes.
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
                  ELSE current_setting('synchronous_commit') END, true);

-- name: move_lock
-- No server opens the store until the move is over: each reads `meta` first.
LOCK TABLE sayso.meta, sayso.feed IN ACCESS EXCLUSIVE MODE;

-- name: move_nodes
-- Processes that have the store open.
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1::bigint::oid AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- name: move_clear
DELETE FROM sayso.feed;

-- name: move_mark
INSERT INTO sayso.meta (key, value) VALUES ($1, $2);

-- name: move_counts
SELECT (SELECT count(*) FROM sayso.streams) AS executions, (SELECT count(*) FROM sayso.requests) AS requests,
       (SELECT count(*) FROM sayso.requests WHERE status = 'pending') AS pending,
       (SELECT count(*) FROM sayso.events) AS events;

-- name: keys
SELECT last_used_at, data FROM sayso.keys;

-- name: wait_for_disk
-- What this transaction writes is on the disk when it ends, whatever the database is told.
SELECT set_config('synchronous_commit', CASE WHEN now IN ('off', 'local') THEN 'on' ELSE now END, true)
FROM current_setting('synchronous_commit') AS now;

-- name: lock_keys
-- One change of the keys after the other; they are read meanwhile.
LOCK TABLE sayso.keys IN SHARE ROW EXCLUSIVE MODE;

-- name: put_key
INSERT INTO sayso.keys AS k (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data;

-- name: remove_keys
DELETE FROM sayso.keys WHERE id = ANY($1::text[]);

-- name: use_keys
UPDATE sayso.keys AS k SET last_used_at = greatest(k.last_used_at, used.at)
FROM unnest($1::text[], $2::timestamptz[]) AS used (id, at) WHERE k.id = used.id;

-- name: redeem
WITH ended AS (DELETE FROM sayso.tickets WHERE until < $3), lasting AS (
    SELECT set_config('synchronous_commit', CASE WHEN now IN ('off', 'local') THEN 'on' ELSE now END, true)
    FROM current_setting('synchronous_commit') AS now
)
INSERT INTO sayso.tickets (id, until) SELECT $1, $2 FROM lasting ON CONFLICT (id) DO NOTHING RETURNING true;

-- name: begin_notifier
INSERT INTO sayso.notifiers (name, position) SELECT $1, position FROM sayso.feed ON CONFLICT (name) DO NOTHING;

-- name: get_notifier
SELECT position, version, off, (SELECT count(*) FROM sayso.owed AS o WHERE o.name = n.name) FROM sayso.notifiers AS n
WHERE name = $1;

-- name: advance_notifier
SELECT sayso.notified($1, $2, $3, $4, $5::text[], $6::text[], $7::bigint[], $8::integer[], $9::timestamptz[], $10::text[]);

-- name: owed_of
SELECT execution_id, position, attempts, due_at, why FROM sayso.owed
WHERE name = $1 AND execution_id = ANY($2::text[]);

-- name: owed_by_time
SELECT execution_id, position, attempts, due_at, why FROM sayso.owed WHERE name = $1 ORDER BY due_at LIMIT $2;

-- name: replay_notifier
SELECT sayso.notify_again($1, $2, $3);

-- name: subscriptions
SELECT data FROM sayso.subscriptions ORDER BY id;

-- name: lock_subscriptions
-- One change of them after the other; they are read meanwhile.
LOCK TABLE sayso.subscriptions IN SHARE ROW EXCLUSIVE MODE;

-- name: put_subscription
INSERT INTO sayso.subscriptions AS s (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data;

-- name: remove_subscription
DELETE FROM sayso.subscriptions WHERE id = $1;

-- name: end_notifier
DELETE FROM sayso.notifiers WHERE name = $1;

-- name: end_owed
DELETE FROM sayso.owed WHERE name = $1;
