"""Every cap of the protocol, with its reason. Sizes are bytes of UTF-8 unless a name says otherwise; times, seconds."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024

PROMPT: Final = 64 * KIB
"""What to do, for a person to read; a prompt longer than a short book is a mistake."""
CONTEXT: Final = 128 * KIB
"""The draft to look at. Adapters cut longer ones with a visible mark, so a long draft never fails a crew."""
TEXT: Final = 128 * KIB
"""An answer may be a whole edited draft."""
COMMENT: Final = 16 * KIB
"""A remark beside an answer."""
TITLE_CHARACTERS: Final = 200
"""A title is one line of a list."""
JSON: Final = 64 * KIB
"""Each free JSON member (metadata, context_data, values, schemas, arguments), so a request stays under BODY."""
SCHEMA_WORK: Final = 20_000
"""Subschemas times members of the value: above it, a misfit is told as one fault instead of all."""
JSON_DEPTH: Final = 64
"""Deeper than any form a person fills in; keeps every recursive reader of the value safe."""
OPTIONS: Final = 100
"""A list that a person can still look through."""
LABEL: Final = 1 * KIB
"""An option's label or description, an assignee, a flag's name."""
ASSIGNEES: Final = 100
"""People to notify; a larger audience is a group's name."""
TIMEOUT: Final = 10 * 365 * 86_400
"""A deadline further away than ten years means no deadline; also keeps dates inside what every language can hold."""
ROUND: Final = 1_000_000
"""How often a draft can come back; only keeps the number in every client's range."""

BODY: Final = 256 * KIB
"""An HTTP body, counted while it is read."""
FORM: Final = 3 * BODY
"""The same from a page without scripts: its form writes up to three bytes for one of a text that is not ASCII."""
FORM_FIELDS: Final = 3_000
"""More than the largest form that an asker can describe."""
LEASE: Final = 3_600.0
"""Seconds that a piece of work may be somebody's without a word from them."""
RESUME: Final = 4 * 1024 * KIB
"""What an agent keeps to go on from a request: its draft and a long conversation with a model."""
WEBSOCKET_MESSAGE: Final = 64 * KIB
"""A WebSocket message from a client; an edited draft longer than this goes over POST."""
REPLY: Final = 16 * 1024 * KIB
"""A reply, or an event of a stream, that a client of ours reads: several times what a server gives at once."""
URL: Final = 8 * KIB
"""A request target; ids and cursors need a few hundred bytes."""
HEADERS: Final = 16 * KIB
"""All headers of a call; a browser with many cookies sends 4."""

PAGE: Final = 1_000
"""Events or requests in one read: large enough to replay quickly, small enough to share the loop."""
BATCH: Final = 256 * KIB
"""Events, or requests of a list, in one read, by size: bounds what a client that reads nothing costs."""
BLOCK: Final = 64 * KIB
"""Events that are sent at once, by size: as much as a transport takes before it says that the peer is behind."""
LIST_PAGE: Final = 100
"""Requests in one page of a list when the client does not say."""
WAIT: Final = 55.0
"""The longest held poll: below the 60 s after which common proxies cut a quiet connection."""
HEARTBEAT: Final = 4.0
"""Quiet time on an SSE stream; httpx, in its default setting, gives up after 5 s of silence."""
KEEP_ALIVE: Final = 75
"""How long an idle HTTP connection of a caller that is known stays open: longer than clients and proxies (nginx: 60 s)
keep theirs, so that it is they who close it, never the server just as a request is on its way."""
RECEIVE: Final = 15.0
"""How long a peer may take for what it has begun (a TLS handshake, a head, a body, a WebSocket message), or for its
first byte; and how long the idle connection of a caller that is not known stays open."""
RECEIVE_RATE: Final = 16 * KIB
"""Bytes of a body for which it gets a second more: four megabytes may come over a slow line, one byte at a time not."""
PING: Final = 20.0
"""WebSocket ping interval and its answer's deadline: a client that vanished is noticed within 40 s."""
SEND: Final = 30.0
"""How long one write to a follower may take before the follower counts as gone; it can resume from its cursor."""
OUTAGE: Final = 10.0
"""How long a write or a read waits for a database that restarts or fails over, before whoever asked is told."""
CONNECTIONS: Final = 20_000
"""Connections in all: ten thousand followers and as many calls; a connection costs some 30 KiB."""
SPARE_DESCRIPTORS: Final = 128
"""Descriptors that connections leave to the store, the logs and the host: running out of them stops everything."""
CONNECTIONS_PER_ADDRESS: Final = 1_000
"""Connections, and calls at once, of one address: an office behind one router, and a twentieth of what there is. This
machine and listed proxies are not counted."""
CALLS_PER_KEY: Final = 15_000
"""Calls and streams of one key at once: where there are several, one that runs wild leaves the others a quarter."""
OPEN_REQUESTS: Final = 100_000
"""Questions of one key that wait at once: more than people answer, and fewer than fill a disk."""
OPEN_EXECUTIONS: Final = 20_000
"""Executions in which one key has questions waiting; a run that asks without end is told at OPEN_REQUESTS."""
UNSENT: Final = 128 * KIB
"""Bytes that the kernel keeps for a peer that takes nothing, beside what is on its way; by itself, megabytes."""
READY: Final = 10.0
"""How long a question waits for a server that is just starting."""
STOP: Final = 2.0
"""How long an orderly stop may take before connections are cut."""
SESSION: Final = 14 * 86_400
"""How long a session at the inbox lasts; half of that away, and whoever comes back gets the whole again."""

KEYS: Final = 1_000
"""Live keys of a store: each server reads them all once a second while they are in use."""
KEY_REMAINS: Final = 90 * 86_400
"""How long a key that ended is still listed."""
KEY_OVERLAP: Final = 86_400.0
"""How long the old secret of a rotated key opens: a day to bring the new one to where it is used."""
KEY_OVERLAP_MOST: Final = 90 * 86_400.0
"""Longer than that, and it is not a rotation."""
KEYS_FRESH: Final = 1.0
"""How old what a process knows of its store's keys may be: a key that ended elsewhere opens nothing after that."""
KEYS_AGAIN: Final = 0.1
"""Seconds between two reads of the keys for a key that is not known yet: guessing must not keep the store busy."""
KEY_USED: Final = 60.0
"""How exact the last use of a key is kept, so that using it is not writing."""
TICKET: Final = 60.0
"""How long a ticket waits to be used: the time to open a stream, on a slow network too."""
LINK: Final = 86_400.0
"""How long an answer link counts: a mail is read within a day, or its question has gone elsewhere."""
LINK_MOST: Final = 30 * 86_400.0
"""Longer than that, and whoever it was given to wants a key."""
AUTH: Final = 10.0
"""How long an open WebSocket may take to say who it is, where its handshake did not."""
PATTERNS: Final = 20
"""Patterns of executions of one key."""

DEVICES: Final = 100
"""Devices of a store that are told by push: each follows the log for itself. More people than that have a channel."""
DEVICES_PER_KEY: Final = 20
"""Devices of one key: a phone, a tablet and some browsers, of a few who share it."""
ENDPOINT: Final = 2 * KIB
"""The address of a device at its push service; those of today have some 200 characters."""
