import assert from "node:assert/strict";
import test from "node:test";

import { Unavailable } from "../src/index.js";
import { Pauses, persist, sleep, wished } from "../src/pauses.js";

test("pauses grow twofold up to a bound, and start anew", () => {
  const pauses = new Pauses(() => 1);
  const longest = Array.from({ length: 9 }, () => pauses.next());
  assert.deepEqual(longest, [200, 400, 800, 1600, 3200, 6400, 12_800, 20_000, 20_000]);
  pauses.reset();
  assert.equal(pauses.next(), 200);
});

test("the whole of a pause is left to chance", () => {
  assert.equal(new Pauses(() => 0).next(), 0);
  assert.equal(new Pauses(() => 0.25).next(), 50);
});

test("Retry-After is read as seconds or as a date", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  assert.equal(wished("7", now), 7000);
  assert.equal(wished("Thu, 01 Jan 2026 00:00:30 GMT", now), 30_000);
  assert.equal(wished("Thu, 01 Jan 2025 00:00:30 GMT", now), 0);
  assert.equal(wished("99999999", now), 3_600_000);
  for (const nothing of [null, "", "soon", "-5"]) assert.equal(wished(nothing, now), 0, String(nothing));
});

test("a call is made again only while its error will pass, and so often", async () => {
  const failing = (error) => {
    const call = async () => {
      call.count += 1;
      throw error;
    };
    call.count = 0;
    return call;
  };
  const passing = failing(new Unavailable("away"));
  await assert.rejects(persist(passing, { tries: 3 }), { code: "unavailable" });
  assert.equal(passing.count, 3);
  const lasting = failing(new TypeError("a mistake"));
  await assert.rejects(persist(lasting, { tries: 3 }), TypeError);
  assert.equal(lasting.count, 1);
});

test("a call is not made again before the server wants it", async () => {
  const at = [];
  const call = async () => {
    at.push(performance.now());
    if (at.length < 2) throw new Unavailable("away", { retryAfter: 400 });
    return "there";
  };
  assert.equal(await persist(call), "there");
  assert.ok(at[1] - at[0] >= 399, `${at[1] - at[0]} ms`);
});

test("a sleep ends with its signal", async () => {
  const stop = new AbortController();
  const slept = sleep(60_000, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(slept, /enough/);
  await assert.rejects(sleep(60_000, stop.signal), /enough/);
});
