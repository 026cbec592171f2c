/** End to end: against a real server, and through proxies that do harm. */

import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import * as sayso from "../src/index.js";
import { take } from "./fake.js";
import { httpProxy, tcpProxy } from "./proxy.js";
import { KEY, serve } from "./server.js";

const LIMIT = { timeout: 30_000 };
const TEXT = "Später? 日本 🚢\r\nzwei\u2028drei";
let server, client;
let count = 0;
const newExecution = () => `js-${++count}`;
const at = (url, options = {}) => new sayso.Sayso({ url, apiKey: KEY, ...options });
const ask = (execution_id, prompt = TEXT) => client.ask({ execution_id, prompt });
const prompts = (events) => events.map((event) => event.prompt);
const seqs = (events) => events.map((event) => event.seq);
const html = (paths) => (request, response) => paths.test(request.url) && response.writeHead(200, { "Content-Type": "text/html" }).end("<html>");

before(async () => {
  server = await serve();
  client = at(server.url);
});
after(() => server.stop());

test("a question is asked, listed, answered once, and told of", LIMIT, async () => {
  const executionId = newExecution();
  const asked = await ask(executionId);
  assert.deepEqual([asked.status, asked.prompt, asked.kind], ["pending", TEXT, "question"]);
  const list = client.list({ status: "pending", executionId });
  assert.deepEqual(await take(list, 9), [asked]);
  assert.equal(list.cursor, asked.asked_event_id);

  const settled = await client.answer(asked.request_id, { human_feedback: "ja", answer_id: "a1" });
  assert.deepEqual([settled.status, settled.answer.text, settled.settled_by], ["answered", "ja", "key:default"]);
  assert.deepEqual(await client.answer(asked.request_id, { human_feedback: "ja", answer_id: "a1" }), settled);
  assert.deepEqual(await client.get(asked.request_id), settled);
  assert.deepEqual(await client.settled(asked.request_id), settled);
  assert.deepEqual(await take(client.list({ status: "pending", executionId }), 9), []);

  await assert.rejects(client.answer(asked.request_id, { human_feedback: "nein" }), (error) => {
    assert.ok(error instanceof sayso.AlreadySettled);
    assert.equal(error.status, 409);
    assert.deepEqual(error.request, settled);
    return true;
  });
  const events = await take(client.follow({ executionId }), 2);
  assert.deepEqual(events.map((event) => event.type), ["human_input_required", "human_input_completed"]);
  assert.deepEqual([events[0].prompt, events[1].human_feedback, events[1].channel], [TEXT, "ja", "http"]);
});

test("the same question under the same id is asked once, another one refused", LIMIT, async () => {
  const question = { execution_id: newExecution(), prompt: "p", request_id: newExecution() };
  assert.deepEqual(await client.ask(question), await client.ask(question));
  await assert.rejects(client.ask({ ...question, prompt: "q" }), sayso.RequestMismatch);
});

test("a reply lost on the way leads to one question and one answer", LIMIT, async (t) => {
  const executionId = newExecution();
  const proxy = await tcpProxy(server.url, { allowance: (n) => (n % 2 ? Infinity : 40) });
  t.after(proxy.close);
  const asked = await at(proxy.url).ask({ execution_id: executionId, prompt: "p" });
  proxy.cut();
  assert.equal(proxy.connections, 2);
  await new Promise((done) => setTimeout(done, 50));
  const settled = await at(proxy.url).answer(asked.request_id, { human_feedback: "once" });
  assert.equal(settled.answer.text, "once");
  assert.ok(proxy.connections > 3, `${proxy.connections} connections`);
  assert.equal((await take(client.list({ executionId }), 9)).length, 1);
});

test("an invalid question and an unknown request have errors of their own", LIMIT, async () => {
  await assert.rejects(client.ask({ execution_id: "a b", prompt: "p" }), (error) => {
    assert.ok(error instanceof sayso.Invalid);
    assert.deepEqual(error.errors.map((fault) => fault.pointer), ["/execution_id"]);
    return true;
  });
  for (const id of ["nobody", "a/b", ".", ".."]) await assert.rejects(client.get(id), sayso.NotFound, id);
  await assert.rejects(client.cancel("nobody"), sayso.NotFound);
  await assert.rejects(client.answer("..", { text: "yes" }), sayso.NotFound);
});

test("a list can begin with the newest, and look for a text", LIMIT, async () => {
  const executionId = `run-${crypto.randomUUID()}`;
  for (const prompt of ["Ship it?", "Stop it?", "SHIP more?"]) await client.ask({ execution_id: executionId, prompt });
  const prompts = async (options) => (await take(client.list({ executionId, limit: 1, ...options }), 9)).map(({ prompt }) => prompt);
  assert.deepEqual(await prompts({ order: "newest" }), ["SHIP more?", "Stop it?", "Ship it?"]);
  assert.deepEqual(await prompts({ q: "ship" }), ["Ship it?", "SHIP more?"]);
});

test("settled waits for a cancellation", LIMIT, async () => {
  const asked = await ask(newExecution());
  const waiting = client.settled(asked.request_id);
  const cancelled = await client.cancel(asked.request_id, "no longer needed");
  assert.deepEqual([cancelled.status, cancelled.reason], ["cancelled", "no longer needed"]);
  assert.deepEqual(await waiting, cancelled);
  const other = await ask(newExecution());
  assert.equal((await client.cancel(other.request_id)).reason, "cancelled");
});

test("a list goes over all pages", LIMIT, async () => {
  const executionId = newExecution();
  const asked = [];
  for (let n = 0; n < 5; n++) asked.push(await ask(executionId, `p${n}`));
  assert.deepEqual(await take(client.list({ executionId, limit: 2 }), 9), asked);
});

test("a follower sees what is asked and answered while it waits", LIMIT, async () => {
  const executionId = newExecution();
  const follower = client.follow({ executionId });
  const first = follower.next();
  const asked = await ask(executionId);
  assert.equal((await first).value.request_id, asked.request_id);
  const second = follower.next();
  await client.answer(asked.request_id, { human_feedback: "" });
  assert.equal((await second).value.status, "answered");
  await follower.return();
});

test("list, then follow from its cursor", LIMIT, async () => {
  const executionId = newExecution();
  await ask(executionId, "before");
  const list = client.list({ executionId });
  await take(list, 9);
  await ask(executionId, "after");
  const follower = client.follow({ executionId, after: list.cursor });
  assert.deepEqual(prompts(await take(follower, 1)), ["after"]);
  await follower.return();
});

test("a stream that drips byte by byte is the same stream", LIMIT, async (t) => {
  const executionId = newExecution();
  const proxy = await tcpProxy(server.url, { drip: true });
  t.after(proxy.close);
  for (let n = 0; n < 3; n++) await ask(executionId);
  const follower = at(proxy.url).follow({ executionId });
  assert.deepEqual(prompts(await take(follower, 3)), [TEXT, TEXT, TEXT]);
  await follower.return();
});

test("however often the connection is cut, each event comes once, in order", LIMIT, async (t) => {
  const executionId = newExecution();
  const proxy = await tcpProxy(server.url, { allowance: (n) => 1300 + ((n * 397) % 1500) });
  t.after(proxy.close);
  for (let n = 0; n < 20; n++) {
    const { request_id } = await ask(executionId, `${n} ${TEXT}`);
    await client.answer(request_id, { human_feedback: TEXT });
  }
  t.mock.method(Math, "random", () => 0); // not before: in Node 18 it makes the ids
  const follower = at(proxy.url).follow({ executionId });
  const events = await take(follower, 40);
  assert.deepEqual(seqs(events), Array.from({ length: 40 }, (_, n) => n + 1));
  assert.ok(proxy.connections > 8, `${proxy.connections} connections`);
  const cursors = [...proxy.heard.matchAll(/^last-event-id: (.*)\r$/gim)].map(([, cursor]) => cursor);
  const ids = events.map((event) => event.event_id);
  assert.ok(cursors.length > 8 && cursors.every((cursor) => ids.includes(cursor)), cursors.join());
  assert.ok(!proxy.heard.includes("GET /poll"), "it went by stream");
  await follower.return();
});

test("what happens while the line is down is told afterwards", LIMIT, async (t) => {
  const executionId = newExecution();
  const proxy = await tcpProxy(server.url);
  t.after(proxy.close);
  await ask(executionId, "before");
  const follower = at(proxy.url).follow({ executionId });
  const [{ request_id, event_id }] = await take(follower, 1);
  const waiting = follower.next();
  proxy.isDown = true;
  proxy.cut();
  await client.answer(request_id, { human_feedback: "meanwhile" });
  proxy.isDown = false;
  assert.equal((await waiting).value.human_feedback, "meanwhile");
  assert.ok(proxy.heard.toLowerCase().includes(`last-event-id: ${event_id}`));
  await follower.return();
});

test("a kept cursor goes on in another follower, by stream and by poll", LIMIT, async (t) => {
  const executionId = newExecution();
  const proxy = await httpProxy(server.url, html(/^\/events/));
  t.after(proxy.close);
  for (const prompt of ["a", "b", "c"]) await ask(executionId, prompt);
  for (const url of [server.url, proxy.url]) {
    const first = at(url).follow({ executionId });
    await take(first, 1);
    await first.return();
    const second = at(url).follow({ executionId, after: first.cursor });
    assert.deepEqual(prompts(await take(second, 2)), ["b", "c"]);
    await second.return();
  }
});

test("a cursor that means nothing is a reset, in the same words by stream and by poll", LIMIT, async (t) => {
  const executionId = newExecution();
  const foreign = (await ask(newExecution())).asked_event_id;
  const open = await ask(executionId, "open");
  await client.answer((await ask(executionId, "settled")).request_id, { human_feedback: "" });
  const proxy = await httpProxy(server.url, html(/^\/events/));
  t.after(proxy.close);
  for (const [cursor, reason] of [["made-up", "unknown-cursor"], [foreign, "foreign-cursor"]]) {
    const told = [];
    for (const url of [server.url, proxy.url]) {
      const follower = at(url).follow({ executionId, after: cursor });
      const [reset] = await take(follower, 1);
      assert.equal(follower.cursor, reset.event_id);
      const later = follower.next();
      const { request_id } = await ask(executionId, "later");
      assert.equal((await later).value.request_id, request_id);
      await client.cancel(request_id);
      await follower.return();
      const { event_id, ...rest } = reset;
      assert.match(event_id, /^[0-9a-f-]{36}$/);
      told.push(rest);
    }
    assert.deepEqual(told[0], { type: "reset", reason, requests: [open], more: false });
    assert.deepEqual(told[1], told[0]);
  }
});

test("where streams do not get through it polls, without a gap", LIMIT, async (t) => {
  const executionId = newExecution();
  const proxy = await httpProxy(server.url, html(/^\/events/));
  t.after(proxy.close);
  const follower = at(proxy.url).follow({ executionId });
  const events = take(follower, 6);
  for (let n = 0; n < 3; n++) {
    const { request_id } = await ask(executionId);
    await client.answer(request_id, { human_feedback: "" });
  }
  assert.deepEqual(seqs(await events), [1, 2, 3, 4, 5, 6]);
  assert.ok(proxy.paths.some((path) => path.startsWith(`/poll/human-input/${executionId}?wait=25`)));
  assert.equal(proxy.paths.filter((path) => path.startsWith("/events")).length, 1);
  assert.ok(proxy.paths.length < 9, `${proxy.paths.length} calls`);
  await follower.return();
});

test("a wrong key ends everything with Unauthorised", LIMIT, async () => {
  for (const apiKey of ["wrong", undefined]) {
    const stranger = at(server.url, { apiKey });
    const calls = [
      () => stranger.ask({ execution_id: "e", prompt: "p" }),
      () => stranger.settled("r"),
      () => stranger.list().next(),
      () => stranger.answer("r", {}),
      () => stranger.follow().next(),
      () => stranger.follow({ executionId: "e" }).next(),
    ];
    for (const call of calls) await assert.rejects(call, (error) => error instanceof sayso.Unauthorised && error.status === 401);
  }
});

test("an execution id that is none ends a follower with Invalid, and never follows all", LIMIT, async () => {
  await assert.rejects(client.follow({ executionId: "a b" }).next(), sayso.Invalid);
  for (const executionId of ["", ".", ".."]) await assert.rejects(client.follow({ executionId }).next(), sayso.NotFound);
});

test("the signal ends a follower quietly, and a held call with its reason", LIMIT, async () => {
  const executionId = newExecution();
  const { request_id } = await ask(executionId);
  const stop = new AbortController();
  const seen = [];
  const following = (async () => {
    for await (const event of client.follow({ executionId, signal: stop.signal })) {
      seen.push(event.type);
      setTimeout(() => stop.abort(new Error("enough")), 50);
    }
  })();
  const held = assert.rejects(client.settled(request_id, { signal: stop.signal }), /enough/);
  await Promise.all([following, held]);
  assert.deepEqual(seen, ["human_input_required"]);
});

test("a quiet stream stays: its heartbeats come through", LIMIT, async (t) => {
  const executionId = newExecution();
  const proxy = await tcpProxy(server.url);
  t.after(proxy.close);
  const follower = at(proxy.url).follow({ executionId });
  const waiting = follower.next();
  await new Promise((done) => setTimeout(done, 5500));
  await ask(executionId);
  await waiting;
  assert.equal(proxy.connections, 1);
  await follower.return();
});

test("a follower of all executions misses nothing, from the first event of a server on", LIMIT, async (t) => {
  const fresh = await serve();
  const direct = at(fresh.url);
  const [one, two] = [await tcpProxy(fresh.url), await tcpProxy(fresh.url)];
  t.after(async () => (one.close(), two.close(), await fresh.stop()));
  const round = async (prompt) => {
    const { request_id } = await direct.ask({ execution_id: newExecution(), prompt });
    await direct.answer(request_id, { human_feedback: prompt });
  };
  const whileDown = async (proxy, prompt) => {
    proxy.isDown = true;
    proxy.cut();
    await round(prompt);
    proxy.isDown = false;
  };
  const connected = async (proxy, path) => {
    while (!proxy.heard.includes(path)) await new Promise((done) => setTimeout(done, 5));
  };
  const types = (events) => events.map((event) => event.prompt ?? event.human_feedback);

  const early = at(one.url).follow();
  const first = take(early, 2);
  await connected(one, "GET /events/human-input ");
  await whileDown(one, "one"); // asked and settled, unseen, before the server had any event
  assert.deepEqual(types(await first), ["one", "one"]);

  const late = at(two.url).follow(); // nothing is open: it begins with nothing, but with a cursor
  const second = take(late, 2);
  await connected(two, "GET /events/human-input ");
  await whileDown(two, "two");
  assert.deepEqual(types(await second), ["two", "two"]);
  assert.deepEqual(types(await take(early, 2)), ["two", "two"]);
  await Promise.all([early.return(), late.return()]);
});
