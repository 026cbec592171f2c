-- Every statement of the SQLite store, by name.

-- name: next_seq
-- Takes the execution's next number; the write transaction makes it gapless.
INSERT INTO streams (execution_id, last_seq) VALUES (:execution_id, 1)
ON CONFLICT (execution_id) DO UPDATE SET last_seq = last_seq + 1
RETURNING last_seq;

-- name: make_stream
-- An execution that only kept something yet is known by its stream, too, so that it can be pruned.
INSERT INTO streams (execution_id, last_seq) VALUES (:execution_id, 0) ON CONFLICT (execution_id) DO NOTHING;

-- name: append_event
INSERT INTO events (execution_id, seq, event_id, type, request_id, data)
VALUES (:execution_id, :seq, :event_id, :type, :request_id, :data);

-- name: insert_request
INSERT INTO requests (request_id, position, execution_id, status, durable, deadline_at, settled_at, data)
VALUES (:request_id, :position, :execution_id, :status, :durable, :deadline_at, NULL, :data);

-- name: settle_request
-- The compare-and-set: of many writers only the first still finds the request pending.
UPDATE requests SET status = :status, settled_at = :settled_at, data = :data
WHERE request_id = :request_id AND status = 'pending';

-- name: get_request
SELECT data FROM requests WHERE request_id = :request_id;

-- name: locate_event
SELECT execution_id, position FROM events WHERE event_id = :event_id;

-- name: read_all
SELECT position, execution_id, seq, event_id, type, request_id, data FROM events
WHERE position > :after ORDER BY position LIMIT :limit;

-- name: read_execution
SELECT position, execution_id, seq, event_id, type, request_id, data FROM events
WHERE execution_id = :execution_id AND position > :after ORDER BY position LIMIT :limit;

-- name: read_open_all
-- A request's `position` is its asking event's, so the few open requests lead to their events without a scan of the log.
SELECT e.position, e.execution_id, e.seq, e.event_id, e.type, e.request_id, e.data
FROM requests AS r JOIN events AS e ON e.position = r.position
WHERE r.status = 'pending' AND r.position > :after ORDER BY r.position LIMIT :limit;

-- name: read_open_execution
SELECT e.position, e.execution_id, e.seq, e.event_id, e.type, e.request_id, e.data
FROM requests AS r JOIN events AS e ON e.position = r.position
WHERE r.execution_id = :execution_id AND r.status = 'pending' AND r.position > :after
ORDER BY r.position LIMIT :limit;

-- name: head_all
SELECT event_id, position FROM events ORDER BY position DESC LIMIT 1;

-- name: head_execution
SELECT event_id, position FROM events WHERE execution_id = :execution_id ORDER BY position DESC LIMIT 1;

-- name: prunable
-- Executions that have no request left that is pending or was settled lately, and that kept nothing lately.
SELECT s.execution_id FROM streams AS s
WHERE NOT EXISTS (
    SELECT 1 FROM requests AS r
    WHERE r.execution_id = s.execution_id AND (r.settled_at IS NULL OR r.settled_at >= :before)
)
AND NOT EXISTS (SELECT 1 FROM resumes AS k WHERE k.execution_id = s.execution_id AND k.kept_at >= :before)
LIMIT :limit;

-- name: prune_events
DELETE FROM events WHERE execution_id = :execution_id;

-- name: prune_requests
DELETE FROM requests WHERE execution_id = :execution_id;

-- name: prune_stream
DELETE FROM streams WHERE execution_id = :execution_id;

-- name: prune_resumes
DELETE FROM resumes WHERE execution_id = :execution_id;

-- name: keep_resume
-- What was kept first stays: it belongs to the question that was asked with it.
INSERT INTO resumes (request_id, execution_id, kept_at, data) VALUES (:request_id, :execution_id, :kept_at, :data)
ON CONFLICT (request_id) DO NOTHING;

-- name: get_resume
SELECT data FROM resumes WHERE request_id = :request_id;

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
