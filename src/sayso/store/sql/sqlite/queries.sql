-- Every statement of the SQLite store, by name. Where an index is named, no other may do: the planner knows no counts.

-- name: count_asked
-- Takes the execution's next number; the write transaction makes it gapless.
INSERT INTO streams (execution_id, last_seq, pending) VALUES (:execution_id, 1, 1)
ON CONFLICT (execution_id) DO UPDATE SET last_seq = last_seq + 1, pending = pending + 1
RETURNING last_seq;

-- name: count_settled
UPDATE streams SET last_seq = last_seq + 1, pending = pending - 1, quiet_since = max(ifnull(quiet_since, ''), :settled_at)
WHERE execution_id = :execution_id
RETURNING last_seq;

-- name: count_kept
-- An execution that only kept something yet is known by its stream, too, so that it can be pruned.
INSERT INTO streams (execution_id, last_seq, quiet_since) VALUES (:execution_id, 0, :kept_at)
ON CONFLICT (execution_id) DO UPDATE SET quiet_since = max(ifnull(quiet_since, ''), excluded.quiet_since);

-- name: append_event
INSERT INTO events (execution_id, seq, event_id, type, request_id, data, crc)
VALUES (:execution_id, :seq, :event_id, :type, :request_id, :data, :crc);

-- name: last_entries
-- Of each of these executions.
SELECT a.execution_id, a.number, a.hash FROM json_each(:execution_ids) AS wanted
JOIN audit AS a ON a.execution_id = wanted.value
    AND a.number = (SELECT max(number) FROM audit WHERE execution_id = wanted.value);

-- name: append_entry
INSERT INTO audit (execution_id, number, hash, data) VALUES (:execution_id, :number, :hash, :data);

-- name: audit_all
-- As bytes, whatever has become of them.
SELECT execution_id, number, CAST(hash AS BLOB), CAST(data AS BLOB) FROM audit
WHERE (execution_id, number) > (:execution_id, :number) ORDER BY execution_id, number LIMIT :limit;

-- name: audit_execution
SELECT execution_id, number, CAST(hash AS BLOB), CAST(data AS BLOB) FROM audit
WHERE execution_id = :execution_id AND number > :number ORDER BY number LIMIT :limit;

-- name: insert_request
INSERT INTO requests (position, request_id, execution_id, status, durable, deadline_at, settled_at, data, crc)
VALUES (:position, :request_id, :execution_id, :status, :durable, :deadline_at, NULL, :data, :crc);

-- name: settle_request
-- The compare-and-set: of many writers only the first still finds the request pending.
UPDATE requests SET status = :status, settled_at = :settled_at, data = :data, crc = :crc
WHERE request_id = :request_id AND status = 'pending';

-- name: get_request
SELECT request_id, execution_id, status, durable, deadline_at, settled_at, data, crc FROM requests
WHERE request_id = :request_id;

-- name: is_taken
SELECT EXISTS (SELECT 1 FROM requests WHERE request_id = :request_id)
    OR EXISTS (SELECT 1 FROM tombstones WHERE request_id = :request_id);

-- name: count_pending
SELECT CASE
    WHEN json_valid(CAST(data AS TEXT)) THEN ifnull(json_extract(CAST(data AS TEXT), '$.asked_by'), '') ELSE ''
END AS asked_by, execution_id, count(*)
FROM requests INDEXED BY requests_by_status WHERE status = 'pending' GROUP BY asked_by, execution_id;

-- name: count_open
SELECT count(*) FROM (
    SELECT 1 FROM requests INDEXED BY requests_by_status WHERE status = 'pending' LIMIT :most
);

-- name: get_tombstone
SELECT request_id, execution_id, status, settled_by, settled_at FROM tombstones WHERE request_id = :request_id;

-- name: locate_event
SELECT execution_id, position FROM events WHERE event_id = :event_id;

-- name: read_all
SELECT position, execution_id, seq, event_id, type, request_id, data, crc FROM events
WHERE position > :after ORDER BY position LIMIT :limit;

-- name: read_execution
SELECT position, execution_id, seq, event_id, type, request_id, data, crc FROM events
WHERE execution_id = :execution_id AND position > :after ORDER BY position LIMIT :limit;

-- name: read_open_all
-- A request's `position` is its asking event's, so the few open requests lead to their events without a scan of the log.
SELECT e.position, e.execution_id, e.seq, e.event_id, e.type, e.request_id, e.data, e.crc
FROM requests AS r INDEXED BY requests_by_status CROSS JOIN events AS e ON e.position = r.position
WHERE r.status = 'pending' AND r.position > :after ORDER BY r.position LIMIT :limit;

-- name: read_open_execution
SELECT e.position, e.execution_id, e.seq, e.event_id, e.type, e.request_id, e.data, e.crc
FROM requests AS r INDEXED BY requests_of_execution CROSS JOIN events AS e ON e.position = r.position
WHERE r.execution_id = :execution_id AND r.status = 'pending' AND r.position > :after
ORDER BY r.position LIMIT :limit;

-- name: seq_at
SELECT seq FROM events WHERE position = :position AND execution_id = :execution_id;

-- name: head_all
SELECT event_id, position FROM events ORDER BY position DESC LIMIT 1;

-- name: head_execution
SELECT event_id, position FROM events WHERE execution_id = :execution_id ORDER BY position DESC LIMIT 1;

-- name: last_position
-- Also of what was removed since.
SELECT max(ifnull((SELECT max(position) FROM events), 0),
           ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0));

-- name: prunable
-- The execution that fell silent the longest ago, if that was before.
SELECT execution_id FROM streams AS s INDEXED BY streams_quiet
WHERE pending = 0 AND quiet_since < :before
  AND NOT EXISTS (SELECT 1 FROM requests AS r WHERE r.execution_id = s.execution_id AND r.status = 'pending')
ORDER BY quiet_since, execution_id LIMIT 1;

-- name: prune_to
-- The position of the last of its first events.
SELECT count(*), max(position) FROM (
    SELECT position FROM events WHERE execution_id = :execution_id ORDER BY position LIMIT :limit
);

-- name: bury
INSERT OR IGNORE INTO tombstones (request_id, execution_id, status, settled_at, settled_by)
SELECT r.request_id, r.execution_id, r.status, r.settled_at, CASE
    WHEN json_valid(CAST(r.data AS TEXT)) THEN ifnull(json_extract(CAST(r.data AS TEXT), '$.settled_by'), '') ELSE ''
END
FROM events AS e JOIN requests AS r ON r.request_id = e.request_id
WHERE e.execution_id = :execution_id AND e.position <= :position AND e.type = 'human_input_completed';

-- name: prune_requests
-- A request goes with its last event.
DELETE FROM requests WHERE request_id IN (
    SELECT request_id FROM events
    WHERE execution_id = :execution_id AND position <= :position AND type = 'human_input_completed'
);

-- name: prune_events
DELETE FROM events WHERE execution_id = :execution_id AND position <= :position;

-- name: prune_stream
DELETE FROM streams WHERE execution_id = :execution_id
  AND NOT EXISTS (SELECT 1 FROM events WHERE execution_id = :execution_id)
  AND NOT EXISTS (SELECT 1 FROM resumes WHERE execution_id = :execution_id);

-- name: prune_leases
DELETE FROM leases WHERE until < :before;

-- name: odd_stream
-- An execution whose counts would have it pruned too early, or never.
SELECT execution_id FROM streams AS s WHERE
    pending <> (SELECT count(*) FROM requests AS r WHERE r.execution_id = s.execution_id AND r.status = 'pending')
    OR quiet_since < (SELECT max(r.settled_at) FROM requests AS r WHERE r.execution_id = s.execution_id)
LIMIT 1;

-- name: prune_resumes
DELETE FROM resumes WHERE request_id IN (
    SELECT request_id FROM resumes WHERE execution_id = :execution_id ORDER BY request_id LIMIT :limit
);

-- name: keep_resume
-- What was kept first stays: it belongs to the question that was asked with it.
INSERT INTO resumes (request_id, execution_id, kept_at, data, crc)
VALUES (:request_id, :execution_id, :kept_at, :data, :crc)
ON CONFLICT (request_id) DO NOTHING;

-- name: get_resume
SELECT request_id, execution_id, kept_at, data, crc FROM resumes WHERE request_id = :request_id;

-- name: take_lease
INSERT INTO leases (name, holder, until) VALUES (:name, :holder, :until)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE holder = excluded.holder OR until <= :now;

-- name: release_lease
DELETE FROM leases WHERE name = :name AND holder = :holder;

-- name: get_meta
SELECT value FROM meta WHERE key = :key;

-- name: make_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING;

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: new_lineage
-- A backup is a log of its own: the mark of the store that it was made of says nothing of it.
UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'lineage';

-- name: counts
SELECT (SELECT count(*) FROM streams), (SELECT count(*) FROM requests),
       (SELECT count(*) FROM requests WHERE status = 'pending'), (SELECT count(*) FROM events);

-- What a move to another engine reads, in the order of the keys: see `sayso.store.moving`.

-- name: move_meta
SELECT key, value FROM meta ORDER BY key;

-- name: move_streams
SELECT execution_id, last_seq, pending, quiet_since FROM streams ORDER BY execution_id;

-- name: move_events
SELECT position, execution_id, seq, event_id, type, request_id, data, crc FROM events ORDER BY position;

-- name: move_requests
SELECT position, request_id, execution_id, status, durable, deadline_at, settled_at, data, crc FROM requests
ORDER BY position;

-- name: move_tombstones
SELECT request_id, execution_id, status, settled_by, settled_at FROM tombstones ORDER BY request_id;

-- name: move_resumes
SELECT request_id, execution_id, kept_at, data, crc FROM resumes ORDER BY request_id;

-- name: move_leases
SELECT name, holder, until FROM leases ORDER BY name;

-- name: move_keys
SELECT id, last_used_at, data, crc FROM keys ORDER BY id;

-- name: move_tickets
SELECT id, until FROM tickets ORDER BY id;

-- name: move_audit
SELECT execution_id, number, CAST(hash AS BLOB) AS hash, CAST(data AS BLOB) AS data FROM audit
ORDER BY execution_id, number;

-- name: move_count
-- Of what there may be many.
SELECT (SELECT count(*) FROM streams) + (SELECT count(*) FROM events) + (SELECT count(*) FROM requests)
     + (SELECT count(*) FROM tombstones) + (SELECT count(*) FROM resumes) + (SELECT count(*) FROM leases)
     + (SELECT count(*) FROM audit) + (SELECT count(*) FROM owed);

-- name: keys
SELECT id, last_used_at, data, crc FROM keys ORDER BY id;

-- name: put_key
INSERT INTO keys (id, data, crc) VALUES (:id, :data, :crc)
ON CONFLICT (id) DO UPDATE SET data = excluded.data, crc = excluded.crc;

-- name: remove_key
DELETE FROM keys WHERE id = :id;

-- name: use_key
UPDATE keys SET last_used_at = :at WHERE id = :id AND ifnull(last_used_at, '') < :at;

-- name: forget_tickets
DELETE FROM tickets WHERE until < :now;

-- name: redeem_ticket
INSERT INTO tickets (id, until) VALUES (:id, :until) ON CONFLICT (id) DO NOTHING;

-- name: begin_notifier
INSERT INTO notifiers (name, position) VALUES (:name, (SELECT ifnull(max(position), 0) FROM events))
ON CONFLICT (name) DO NOTHING;

-- name: get_notifier
SELECT position, version, off, (SELECT count(*) FROM owed WHERE owed.name = notifiers.name) FROM notifiers
WHERE name = :name;

-- name: advance_notifier
UPDATE notifiers SET position = :position, version = version + 1, off = :off WHERE name = :name AND version = :version;

-- name: put_owed
INSERT INTO owed (name, execution_id, position, attempts, due_at, why)
VALUES (:name, :execution_id, :position, :attempts, :due_at, :why)
ON CONFLICT (name, execution_id) DO UPDATE SET position = excluded.position, attempts = excluded.attempts,
    due_at = excluded.due_at, why = excluded.why;

-- name: remove_owed
DELETE FROM owed WHERE name = :name AND execution_id = :execution_id;

-- name: owed_of
SELECT execution_id, position, attempts, due_at, why FROM owed WHERE name = :name AND execution_id = :execution_id;

-- name: owed_by_time
SELECT execution_id, position, attempts, due_at, why FROM owed WHERE name = :name ORDER BY due_at LIMIT :limit;

-- name: replay_notifier
UPDATE notifiers SET position = min(position, :since), version = version + 1, off = '' WHERE name = :name;

-- name: replay_owed
UPDATE owed SET position = min(position, :since), attempts = 0, due_at = :now WHERE name = :name;

-- name: move_notifiers
SELECT name, position, version, off FROM notifiers ORDER BY name;

-- name: move_owed
SELECT name, execution_id, position, attempts, due_at, why FROM owed ORDER BY name, execution_id;

-- name: subscriptions
SELECT id, data, crc FROM subscriptions ORDER BY id;

-- name: put_subscription
INSERT INTO subscriptions (id, data, crc) VALUES (:id, :data, :crc)
ON CONFLICT (id) DO UPDATE SET data = excluded.data, crc = excluded.crc;

-- name: remove_subscription
DELETE FROM subscriptions WHERE id = :id;

-- name: end_notifier
DELETE FROM notifiers WHERE name = :name;

-- name: end_owed
DELETE FROM owed WHERE name = :name;

-- name: move_subscriptions
SELECT id, data, crc FROM subscriptions ORDER BY id;
