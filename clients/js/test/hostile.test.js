import assert from "node:assert/strict";
import net from "node:net";
import test from "node:test";

import { Sayso, SaysoError } from "../src/index.js";
import { errorOf } from "../src/errors.js";
import { Follower } from "../src/follower.js";
import { Line } from "../src/line.js";
import { LONGEST } from "../src/reading.js";
import { SSEDecoder } from "../src/sse_decoder.js";
import { json, script, stream, take } from "./fake.js";

const LIMIT = { timeout: 20_000 };
const client = (fetch) => new Sayso({ url: "http://server:8000/", fetch });
const misconfigured = (error) => error instanceof SaysoError && error.code === "misconfigured";
const bytes = (text) => new TextEncoder().encode(text);

/** What a follower tells that has heard a server before: it goes on trying, and raises nothing that is not ours. */
const followed = (fetch, executionId) => take(client(fetch).follow({ executionId, signal: AbortSignal.timeout(100) }), 1);

/** The address of something that says `reply` to whoever comes; with `endless`, that for ever after. */
async function saying(t, reply, endless) {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(reply);
      if (!endless) return socket.end();
      const more = () => {
        while (socket.writable && socket.write(endless));
        socket.once("drain", more);
      };
      more();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

for (const body of [null, [], 7, "text"]) {
  test(`a reply that is ${JSON.stringify(body)} is none of sayso`, LIMIT, async () => {
    const { fetch } = script(() => json(body));
    await assert.rejects(client(fetch).get("r"), misconfigured);
    await assert.rejects(client(fetch).settled("r"), misconfigured);
    await assert.rejects(take(client(fetch).list(), 1), misconfigured);
    await assert.rejects(take(client(fetch).follow(), 1), misconfigured);
  });
}

for (const listed of [undefined, null, {}, [null], ["a"]]) {
  test(`a page that lists ${JSON.stringify(listed)} is none of sayso`, LIMIT, async () => {
    const { fetch } = script(() => json({ requests: listed, events: listed, next: null, cursor: null }));
    await assert.rejects(take(client(fetch).list(), 1), misconfigured);
    assert.deepEqual(await followed(fetch), []);
    const reset = script(() => json({ events: [], cursor: null, reset: { reason: "x" }, requests: listed, next: null }));
    assert.deepEqual(await followed(reset.fetch), []);
  });
}

test("a list that goes in circles has no end", LIMIT, async () => {
  const { fetch, calls } = script(() => json({ requests: [], next: "7", cursor: null }));
  await assert.rejects(take(client(fetch).list(), 1), misconfigured);
  assert.equal(calls.length, 2);
});

for (const id of ["a\nb", "é", "日", 7, {}]) {
  test(`an event that is called ${JSON.stringify(id)} is none of sayso`, LIMIT, async () => {
    const event = JSON.stringify({ type: "human_input_required", event_id: id });
    const streamed = script(() => stream([`data: ${event}\n\n`]));
    assert.deepEqual(await followed(streamed.fetch, "e"), []);
    const polled = script(() => json({ events: [JSON.parse(event)], cursor: null, more: false }));
    assert.deepEqual(await followed(polled.fetch), []);
    const cursor = script(() => json({ events: [], cursor: id, more: false }));
    assert.deepEqual(await followed(cursor.fetch), []);
  });
}

test("pages that lead no further are not asked for without a pause", LIMIT, async () => {
  for (const page of [{ cursor: null, more: false }, { cursor: null, more: true }, { cursor: "same", more: true }]) {
    const { fetch, calls } = script(() => json({ events: [], ...page }));
    const signal = AbortSignal.timeout(300);
    const times = { silence: 15_000, wait: 0.001, held: 1000, polling: 300_000 };
    const follower = new Follower(new Line({ url: "http://server:8000/", fetch }), { signal, executionId: undefined }, times);
    assert.deepEqual(await take(follower, 1), []);
    assert.ok(calls.length < 50, `${calls.length} calls`);
  }
});

test("a message on a stream that is no object is none of sayso", LIMIT, async () => {
  for (const data of ["null", "[]", "7"]) {
    const { fetch } = script(() => stream([`data: ${data}\n\n`]));
    assert.deepEqual(await followed(fetch, "e"), []);
  }
});

test("a problem whose members are anything at all is an error of ours", () => {
  const deep = JSON.parse("[".repeat(20_000) + "]".repeat(20_000));
  for (const odd of [deep, 7, null, {}]) {
    assert.ok(errorOf(422, { type: odd, detail: odd, errors: odd }) instanceof SaysoError);
    const invalid = errorOf(422, { type: "urn:sayso:problem:invalid", detail: odd, errors: odd });
    assert.equal(invalid.detail, "invalid");
    assert.ok(Array.isArray(invalid.errors));
  }
});

test("a reply without an end is read no further than any of sayso is long", LIMIT, async (t) => {
  const url = await saying(t, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", Buffer.alloc(65_536, " "));
  await assert.rejects(new Sayso({ url }).get("r"), misconfigured);
  const error = await saying(t, "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n", Buffer.alloc(65_536, " "));
  await assert.rejects(new Sayso({ url: error }).get("r"), misconfigured);
});

test("an event without an end is read no further either, and what was told counts no more", () => {
  const decoder = new SSEDecoder();
  const part = bytes("x".repeat(1_000_000));
  for (let n = 0; n < 30; n++) {
    decoder.decode(bytes("data: "));
    decoder.decode(part);
    assert.equal(decoder.decode(bytes("\n\n: comment\n")).length, 1);
  }
  const endless = () => {
    for (let size = 0; size <= LONGEST; size += part.length) decoder.decode(part);
  };
  assert.throws(endless, misconfigured);
  const lines = new SSEDecoder();
  const line = bytes(`data: ${"x".repeat(1_000_000)}\n`);
  assert.throws(() => {
    for (let size = 0; size <= LONGEST; size += 1_000_000) lines.decode(line);
  }, misconfigured);
});

test("a body that says it is compressed and is not ends when its caller has had enough", LIMIT, async (t) => {
  const url = await saying(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n{}");
  const signal = AbortSignal.timeout(200);
  await assert.rejects(new Sayso({ url }).get("r", { signal }));
  const told = await take(new Sayso({ url }).follow({ executionId: "e", signal: AbortSignal.timeout(200) }), 1);
  assert.deepEqual(told, []);
});
