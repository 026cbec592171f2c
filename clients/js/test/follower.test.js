import assert from "node:assert/strict";
import test from "node:test";

import { Follower, TIMES } from "../src/follower.js";
import { Line } from "../src/line.js";
import { block, event, json, lost, never, problem, script, stream, take } from "./fake.js";

const LIMIT = { timeout: 10_000 };
const QUICK = { ...TIMES, silence: 60, held: 30, polling: 300 };
const follow = (fetch, options = {}, times = QUICK) =>
  new Follower(new Line({ url: "http://h", fetch }), { executionId: "e", ...options }, times);
const page = (ids, more = false) => () => json({ events: ids.map((id) => event(id)), cursor: ids.at(-1) ?? null, more });
const html = () => new Response("<html>", { headers: { "Content-Type": "text/html" } });
const open = (...texts) => (init) => stream(texts, init);
const ended = (...texts) => () => stream(texts, { ends: true });
const ids = (messages) => messages.map((message) => message.event_id);
const paths = (calls) => calls.map(({ path }) => path.split("/")[1]);
const calm = (t, value = 0) => t.mock.method(Math, "random", () => value);

test("a stream that breaks is gone on with from the event given last", LIMIT, async (t) => {
  calm(t);
  const { fetch, calls } = script(ended(": heartbeat\n\n", block("1"), block("2"), "id: 3\nda"), lost, open(block("3")));
  const follower = follow(fetch);
  assert.deepEqual(ids(await take(follower, 3)), ["1", "2", "3"]);
  assert.deepEqual(calls.map(({ headers }) => headers.get("Last-Event-ID")), [null, "2", "2"]);
  await follower.return();
});

test("the cursor is that of the message given last, not of what was read ahead", LIMIT, async () => {
  const follower = follow(script(open(block("1") + block("2"))).fetch, { after: "0" });
  assert.equal(follower.cursor, "0");
  await follower.next();
  assert.equal(follower.cursor, "1");
  await follower.return();
  assert.equal(follower.cursor, "1");
});

test("a stream without a byte counts as broken; one with heartbeats does not", LIMIT, async (t) => {
  calm(t);
  const beating = (init) => {
    const body = new ReadableStream({
      async start(controller) {
        for (let n = 0; n < 10; n++) {
          controller.enqueue(new TextEncoder().encode(": heartbeat\n\n"));
          await new Promise((done) => setTimeout(done, QUICK.silence / 3));
        }
        controller.enqueue(new TextEncoder().encode(block("1")));
        init.signal.addEventListener("abort", () => controller.error(init.signal.reason));
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  };
  const { fetch, calls } = script(beating, open(block("2")));
  const follower = follow(fetch);
  assert.deepEqual(ids(await take(follower, 1)), ["1"]);
  assert.equal(calls.length, 1);
  assert.deepEqual(ids(await take(follower, 1)), ["2"]);
  assert.ok(calls[1].at - calls[0].at >= QUICK.silence * 3);
  assert.ok(calls[0].signal.aborted);
  await follower.return();
});

test("it says when the server is heard and when it no longer is, each once", LIMIT, async (t) => {
  calm(t);
  const states = [];
  const onState = (state) => states.push(state);
  const streamed = follow(script(ended(block("1")), lost, open(block("2"))).fetch, { onState });
  assert.deepEqual(states, []);
  await take(streamed, 2);
  assert.deepEqual(states, ["open", "broken", "open"]);
  await streamed.return();
  assert.deepEqual(states, ["open", "broken", "open"]);

  states.length = 0;
  const polled = follow(script(html, page(["1"]), page(["2"]), lost, page(["3"])).fetch, { onState });
  await take(polled, 3);
  assert.deepEqual(states, ["broken", "open", "broken", "open"]);
  await polled.return();

  states.length = 0;
  const fresh = follow(script(() => json({ events: [], cursor: "0", more: false }), never).fetch, { executionId: undefined, onState });
  const next = fresh.next();
  await new Promise((done) => setTimeout(done, 20));
  assert.deepEqual(states, ["open"], "a server that holds nothing yet is heard all the same");
  await fresh.return();
  await next;
});

test("a consumer that takes its time does not break the stream", LIMIT, async () => {
  const { fetch, calls } = script(open(block("1"), block("2")));
  const follower = follow(fetch);
  await follower.next();
  await new Promise((done) => setTimeout(done, QUICK.silence * 3));
  assert.deepEqual(ids(await take(follower, 1)), ["2"]);
  assert.equal(calls.length, 1);
  await follower.return();
});

test("what is not an event stream is polled instead, and a stream tried again later", LIMIT, async (t) => {
  calm(t);
  const slow = (ids) => (init) => new Promise((done) => setTimeout(() => done(page(ids)(init)), 200));
  const { fetch, calls } = script(html, page(["1"]), slow(["2"]), slow(["3"]), open(block("4")));
  const follower = follow(fetch);
  assert.deepEqual(ids(await take(follower, 4)), ["1", "2", "3", "4"]);
  assert.deepEqual(paths(calls), ["events", "poll", "poll", "poll", "events"]);
  assert.deepEqual(calls.slice(1, 4).map(({ query }) => String(query)), ["wait=25", "wait=25&last_event_id=1", "wait=25&last_event_id=2"]);
  await follower.return();
});

test("after two streams without a byte in a row it polls", LIMIT, async (t) => {
  calm(t);
  for (const silent of [never, open(), ended(), lost]) {
    const { fetch, calls } = script(silent, silent, page(["1"]), never);
    const follower = follow(fetch);
    assert.deepEqual(ids(await take(follower, 1)), ["1"]);
    assert.deepEqual(paths(calls), ["events", "events", "poll"]);
    await follower.return();
  }
});

test("a stream without a byte now and then is no reason to poll", LIMIT, async (t) => {
  calm(t);
  const { fetch, calls } = script(ended(), ended(": heartbeat\n\n"), ended(), ended(block("1")), ended(), open(block("2")));
  const follower = follow(fetch);
  assert.deepEqual(ids(await take(follower, 2)), ["1", "2"]);
  assert.deepEqual(paths(calls), Array(6).fill("events"));
  await follower.return();
});

test("polls that fail, too, give way to a stream", LIMIT, async (t) => {
  calm(t);
  const { fetch, calls } = script(lost, lost, lost, open(block("1")));
  const follower = follow(fetch);
  await follower.next();
  assert.deepEqual(paths(calls), ["events", "events", "poll", "events"]);
  await follower.return();
});

test("polls that are not held are made ever more slowly; those with more are made at once", LIMIT, async (t) => {
  calm(t, 1);
  const times = { ...QUICK, polling: 60_000 };
  const { fetch, calls } = script(html, page(["1"], true), page(["2"]), page([]), page([]), page(["3"]));
  const follower = follow(fetch, {}, times);
  await take(follower, 3);
  const gaps = calls.slice(1).map((call, at) => call.at - calls[at].at);
  assert.ok(gaps[1] < gaps[3] && gaps[2] < gaps[3], `at once: ${gaps}`);
  assert.ok(gaps[3] >= 199 && gaps[4] >= 399, `slower: ${gaps}`);
  await follower.return();
});

test("pauses grow while nothing comes and start anew when something did", LIMIT, async (t) => {
  calm(t, 1);
  const flash = ended(": heartbeat\n\n"); // accepted and ended at once: nothing to hammer on
  const { fetch, calls } = script(flash, flash, ended(block("1")), open(block("2")));
  const follower = follow(fetch, {}, { ...QUICK, held: 1000 });
  await take(follower, 2);
  const gaps = calls.slice(1).map((call, at) => call.at - calls[at].at);
  assert.ok(gaps[0] >= 199 && gaps[1] >= 399, `growing: ${gaps}`);
  assert.ok(gaps[2] >= 199 && gaps[2] < gaps[1], `anew: ${gaps}`);
  await follower.return();
});

test("Retry-After is kept", LIMIT, async (t) => {
  calm(t);
  const busy = () => problem("too-many", 429, {}, { "Retry-After": "1" });
  const { fetch, calls } = script(busy, open(block("1")));
  const follower = follow(fetch);
  await follower.next();
  assert.ok(calls[1].at - calls[0].at >= 999, `${calls[1].at - calls[0].at} ms`);
  await follower.return();
});

test("an error that will not pass ends it", LIMIT, async () => {
  for (const [code, status] of [["unauthorised", 401], ["forbidden", 403], ["not-found", 404], ["invalid", 422]]) {
    const { fetch, calls } = script(() => problem(code, status));
    const follower = follow(fetch);
    await assert.rejects(follower.next(), { code, status });
    assert.deepEqual(await follower.next(), { done: true, value: undefined });
    assert.equal(calls.length, 1);
  }
});

test("a server that is none ends it, but not once it was one", LIMIT, async (t) => {
  calm(t);
  await assert.rejects(follow(script(html, html).fetch).next(), { code: "misconfigured" });
  const { fetch } = script(ended(block("1")), html, html, open(block("2")));
  const follower = follow(fetch);
  assert.deepEqual(ids(await take(follower, 2)), ["1", "2"]);
  await follower.return();
});

test("a reset by stream moves the cursor, also back to none", LIMIT, async (t) => {
  calm(t);
  const reset = (event_id) => `${event_id ? `id: ${event_id}\n` : ""}data: ${JSON.stringify({ type: "reset", event_id })}\n\n`;
  for (const event_id of ["9", null]) {
    const { fetch, calls } = script(ended(reset(event_id)), open(block("10")));
    const follower = follow(fetch, { after: "unknown" });
    assert.equal((await follower.next()).value.event_id, event_id);
    await follower.next();
    assert.deepEqual(calls.map(({ headers }) => headers.get("Last-Event-ID")), ["unknown", event_id]);
    await follower.return();
  }
});

test("return ends it while it waits, in every state, and lets the connection go", LIMIT, async (t) => {
  calm(t, 1);
  for (const replies of [[never], [open(": heartbeat\n\n")], [html, never], [lost]]) {
    const { fetch, calls } = script(...replies);
    const follower = follow(fetch, {}, TIMES);
    const waiting = follower.next();
    while (calls.length < replies.length) await new Promise((done) => setTimeout(done, 5));
    await new Promise((done) => setTimeout(done, 20));
    await follower.return();
    assert.deepEqual(await waiting, { done: true, value: undefined });
    assert.ok(calls.at(-1).signal.aborted);
    assert.equal(calls.length, replies.length);
  }
});

test("the signal ends it, before, while it waits, and between messages", LIMIT, async () => {
  const done = { done: true, value: undefined };
  const { fetch, calls } = script(open(block("1") + block("2")));
  assert.deepEqual(await follow(fetch, { signal: AbortSignal.abort() }).next(), done);
  assert.equal(calls.length, 0);
  const stop = new AbortController();
  const follower = follow(fetch, { signal: stop.signal });
  await follower.next();
  stop.abort();
  assert.deepEqual(await follower.next(), done);
  const other = new AbortController();
  const waiting = follow(script(never).fetch, { signal: other.signal }).next();
  setTimeout(() => other.abort(), 10);
  assert.deepEqual(await waiting, done);
});

test("breaking out of the loop leaves no listener on the signal", LIMIT, async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...given) => (listeners++, add(...given));
  signal.removeEventListener = (...given) => (listeners--, remove(...given));
  for await (const _ of follow(script(open(block("1"))).fetch, { signal })) {
    assert.equal(listeners, 1);
    break;
  }
  assert.equal(listeners, 0);
});
