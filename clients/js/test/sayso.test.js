import assert from "node:assert/strict";
import test from "node:test";

import * as sayso from "../src/index.js";
import { errorOf } from "../src/errors.js";
import { json, lost, never, problem, script } from "./fake.js";

const { Sayso } = sayso;
const client = (fetch, options = {}) => new Sayso({ url: "http://server:8000/", apiKey: "k", fetch, ...options });
const QUESTION = { execution_id: "e", prompt: "p" };

test("a question whose reply was lost is asked again under the same id", async () => {
  const { fetch, calls } = script(lost, () => problem("unavailable", 503), () => json({ request_id: "r" }, 201));
  assert.equal((await client(fetch).ask(QUESTION)).request_id, "r");
  assert.equal(calls.length, 3);
  assert.match(calls[0].body.request_id, /^[A-Za-z0-9-]{32,36}$/);
  assert.equal(new Set(calls.map((call) => call.body.request_id)).size, 1);
});

test("two questions have two ids, and an own id is kept", async () => {
  const { fetch, calls } = script(() => json({}));
  await client(fetch).ask({ ...QUESTION, request_id: undefined });
  await client(fetch).ask(QUESTION);
  await client(fetch).ask({ ...QUESTION, request_id: "mine" });
  const ids = calls.map((call) => call.body.request_id);
  assert.equal(new Set(ids).size, 3);
  assert.ok(ids[0]);
  assert.equal(ids[2], "mine");
});

test("ids are made without crypto.randomUUID, and without crypto", async (t) => {
  const { fetch, calls } = script(() => json({}));
  const had = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  t.after(() => (had ? Object.defineProperty(globalThis, "crypto", had) : delete globalThis.crypto));
  const { getRandomValues } = (await import("node:crypto")).webcrypto;
  for (const value of [{ getRandomValues: getRandomValues.bind((await import("node:crypto")).webcrypto) }, undefined]) {
    Object.defineProperty(globalThis, "crypto", { value, configurable: true });
    await client(fetch).ask(QUESTION);
    await client(fetch).ask(QUESTION);
  }
  const ids = calls.map((call) => call.body.request_id);
  assert.equal(new Set(ids).size, 4);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});

test("an answer whose reply was lost is sent again under the same id", async () => {
  const { fetch, calls } = script(lost, () => json({ status: "answered" }));
  await client(fetch).answer("a/b", { human_feedback: "" });
  assert.equal(calls[1].path, "/requests/a%2Fb/answer");
  assert.equal(calls[0].body.answer_id, calls[1].body.answer_id);
  assert.ok(calls[0].body.answer_id);
});

test("a server that stays away is told of after five tries; a cancellation is sent once", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const { fetch, calls } = script(lost);
  await assert.rejects(client(fetch).ask(QUESTION), (error) => error instanceof sayso.Unavailable && error.retry);
  assert.equal(calls.length, 5);
  await assert.rejects(client(fetch).cancel("r", "why"), sayso.Unavailable);
  assert.equal(calls.length, 6);
});

test("settled waits through held looks, breaks and proxies that do not hold", async (t) => {
  t.mock.method(Math, "random", () => 0);
  const pending = () => json({ status: "pending" });
  const { fetch, calls } = script(pending, lost, () => json({}, 502), pending, () => json({ status: "expired" }));
  assert.equal((await client(fetch).settled("r")).status, "expired");
  assert.deepEqual(calls.map(({ query }) => query.get("wait")), Array(5).fill("25"));
});

test("settled ends with its signal, and with an error that will not pass", async () => {
  const stop = new AbortController();
  const waiting = client(script(never).fetch).settled("r", { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(client(script(() => problem("not-found", 404)).fetch).settled("r"), sayso.NotFound);
});

test("a list goes through all pages, one as it is needed, with the cursor of the first", async () => {
  const page = (ids, next, cursor) => () => json({ requests: ids.map((request_id) => ({ request_id })), next, cursor });
  const { fetch, calls } = script(page(["a", "b"], "2", "c1"), page([], "5", "c2"), page(["c"], null, "c3"));
  const list = client(fetch).list({ status: ["pending", "expired"], executionId: "e", limit: 2 });
  assert.equal(list.cursor, undefined);
  assert.equal((await list.next()).value.request_id, "a");
  assert.equal(calls.length, 1);
  const rest = [];
  for await (const request of list) rest.push(request.request_id);
  assert.deepEqual(rest, ["b", "c"]);
  assert.equal(list.cursor, "c1");
  assert.deepEqual(calls.map(({ query }) => query.get("after")), [null, "2", "5"]);
  assert.equal(String(calls[2].query), "status=pending%2Cexpired&execution_id=e&limit=2&after=5");
});

test("a list that is left early reads no further", async () => {
  const { fetch, calls } = script(() => json({ requests: [{}], next: "1", cursor: null }));
  for await (const _ of client(fetch).list()) break;
  assert.equal(calls.length, 1);
});

test("the key goes into the header and nowhere else; a redirect is not followed", async () => {
  const { fetch, calls } = script(() => json({}));
  await client(fetch).get("r", { wait: 3 });
  assert.equal(calls[0].headers.get("Authorization"), "Bearer k");
  assert.equal(String(calls[0].query), "wait=3");
  assert.equal(calls[0].redirect, "manual");
  const moved = script(() => new Response(null, { status: 301, headers: { Location: "https://server" } }));
  await assert.rejects(client(moved.fetch).ask(QUESTION), { code: "misconfigured", retry: false });
  assert.equal(moved.calls.length, 1);
});

test("an address or a key that can be none is refused at once", () => {
  for (const url of ["", "/", "server:8000", "ftp://h", "http://h/?a=1", "http://h/#a", "http://u:p@h"]) {
    assert.throws(() => new Sayso({ url }), TypeError, url);
  }
  assert.throws(() => new Sayso({ url: "http://h", apiKey: "日本" }), TypeError);
  assert.throws(() => new Sayso({ url: "http://h", apiKey: "a\nb" }), TypeError);
});

test("a relative address is one of the page", async (t) => {
  globalThis.location = /** @type {any} */ ({ href: "https://host/sayso/inbox/index.html?x=1" });
  t.after(() => delete globalThis.location);
  const asked = [];
  const fetch = async (url) => (asked.push(url), json({}));
  for (const url of [undefined, "..", "/under"]) await client(fetch, { url }).get("r");
  assert.deepEqual(asked, ["https://host/requests/r", "https://host/sayso/requests/r", "https://host/under/requests/r"]);
});

test("every problem has its class, code and whether it may pass", () => {
  const of = (code, status) => errorOf(status, { type: `urn:sayso:problem:${code}`, detail: "why" });
  const cases = [
    ["invalid", 422, sayso.Invalid, false],
    ["not-found", 404, sayso.NotFound, false],
    ["method-not-allowed", 405, sayso.SaysoError, false],
    ["already-settled", 409, sayso.AlreadySettled, false],
    ["request-mismatch", 409, sayso.RequestMismatch, false],
    ["too-large", 413, sayso.SaysoError, false],
    ["unauthorised", 401, sayso.Unauthorised, false],
    ["forbidden", 403, sayso.Forbidden, false],
    ["too-many", 429, sayso.Unavailable, true],
    ["unavailable", 503, sayso.Unavailable, true],
    ["server-stopped", 503, sayso.Unavailable, true],
    ["internal", 500, sayso.Unavailable, true],
    ["constructor", 418, sayso.SaysoError, false],
  ];
  for (const [code, status, Kind, retry] of cases) {
    const error = of(code, status);
    assert.equal(error.constructor, Kind, code);
    assert.deepEqual([error.code, error.status, error.retry, error.detail, error.message], [code, status, retry, "why", "why"]);
    assert.ok(error instanceof sayso.SaysoError && error instanceof Error);
  }
});

test("a reply that is not sayso's still has a code", () => {
  const codes = [[401, "unauthorised"], [403, "forbidden"], [404, "not-found"], [400, "misconfigured"], [0, "misconfigured"]];
  for (const [status, code] of codes) {
    for (const body of [undefined, null, "text", { type: 5 }]) {
      const error = errorOf(status, body);
      assert.deepEqual([error.code, error.retry], [code, false]);
    }
  }
  for (const status of [408, 425, 429, 500, 502, 504]) assert.equal(errorOf(status, undefined).code, "unavailable");
});

test("a page instead of JSON is told as what it is, once", async () => {
  const { fetch, calls } = script(() => new Response("<html>", { headers: { "Content-Type": "text/html" } }));
  await assert.rejects(client(fetch).ask(QUESTION), { code: "misconfigured", retry: false });
  assert.equal(calls.length, 1);
});
