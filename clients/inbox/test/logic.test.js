import assert from "node:assert/strict";
import test from "node:test";
import { editable, firstMode, submissionOf } from "../src/answers.js";
import { curlOf } from "../src/curl.js";
import { fieldOf, fits, parsed, withField } from "../src/filter.js";
import { answering, canBeHeld, due, latest, withoutRequest } from "../src/held.js";
import { commandOf, GROUPS } from "../src/keys.js";
import { ORDERS } from "../src/order.js";
import { withAsked, withListed, withOpen, withSettled } from "../src/requests.js";
import { hashOf, routeOf } from "../src/route.js";
import { haveOneShape } from "../src/shape.js";
import { troubles } from "../src/troubles.js";
import { windowOf, scrolledTo } from "../src/windowed.js";
import { ago, endingOf, saidOf, span } from "../src/words.js";
import { request, review } from "./requests.js";

const NOW = Date.parse("2030-01-31T12:00:00Z");

test("the most urgent is first: by priority, then what runs out soonest, then the oldest", () => {
  const all = [
    request({ title: "old", created_at: "2030-01-01T00:00:00Z" }),
    request({ title: "new" }),
    request({ title: "due late", deadline: "2030-02-02T00:00:00Z" }),
    request({ title: "due soon", deadline: "2030-02-01T00:00:00+01:00" }),
    request({ title: "low", priority: "low", deadline: "2030-01-01T00:00:00Z" }),
    request({ title: "urgent", priority: "urgent" }),
    request({ title: "high", priority: "high" }),
  ];
  const titles = (order) => [...all].sort(ORDERS[order]).map(({ title }) => title);
  assert.deepEqual(titles("urgent"), ["urgent", "high", "due soon", "due late", "old", "new", "low"]);
  assert.equal(titles("oldest")[0], "old");
  assert.equal(titles("newest").at(-1), "old");
});

test("a search means words anywhere and fields exactly", () => {
  const one = request({ title: "Pay the Harbour", context_data: { agent: "Night Bookkeeper" }, execution_id: "Run-7", created_at: "2030-01-31T09:00:00Z", assignees: ["ops"], settled_by: "key:anna", settled_channel: "terminal" });
  const found = (text) => fits(one, parsed(text), NOW);
  for (const text of ["", "harbour pay", '"the harbour"', "bookkeeper", 'agent:"night b"', "agent:NIGHT", "run:run-7", "kind:question", "kind:form kind:question", "for:ops", "by:anna", "by:terminal", "older:2h", "newer:1d", "priority:normal pay", "status:pending"]) assert.ok(found(text), text);
  for (const text of ["harbours", '"harbour the"', "agent:day", "run:run", "kind:form", "for:op", "older:4h", "newer:2h", "older:soon", "by:bert"]) assert.ok(!found(text), text);
  assert.ok(!fits(one, parsed("http://x"), NOW), "a colon that names no field is only a colon");
});

test("a field of a search is set, replaced and taken out, and the words stay", () => {
  assert.equal(withField("pay older:2h", "agent", "Night Bookkeeper"), 'pay older:2h agent:"Night Bookkeeper"');
  assert.equal(withField('pay agent:"Night Bookkeeper" now', "agent", "Day"), "pay now agent:Day");
  assert.equal(withField("agent:Day pay", "agent", ""), "pay");
  assert.equal(fieldOf('agent:"Night B" x', "agent"), "night b");
});

test("answers are held until their time, and a batch goes on without the one that someone else answered", () => {
  const [one, two] = [request(), request()];
  const held = [{ id: "a", requests: [one, two], submission: {}, until: 5 }, { id: "b", requests: [request()], submission: {}, until: 9 }];
  assert.deepEqual(due(held, 5).map(({ id }) => id), ["a"]);
  assert.equal(latest(held).id, "b");
  assert.equal(answering(held, two.request_id).id, "a");
  assert.deepEqual(withoutRequest(held, one.request_id).map(({ requests }) => requests.length), [1, 1]);
  assert.equal(withoutRequest(held, held[1].requests[0].request_id).length, 1);
  assert.ok(canBeHeld({ text: "x".repeat(59_000) }));
  assert.ok(!canBeHeld({ text: "é".repeat(31_000) }));
});

test("a key acts, unless someone writes, holds another key, or has turned keys off", () => {
  const press = (key, more = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...more });
  const free = { isWriting: false, isOnControl: false, hasKeys: true };
  for (const { bindings } of GROUPS) {
    for (const { key, command } of bindings.filter((one) => !one.key.includes("+"))) assert.equal(commandOf(press(key), free).command, command);
  }
  assert.deepEqual(commandOf(press("7"), free), { command: "option", number: 7 });
  assert.equal(commandOf(press("A", { shiftKey: true }), free).command, "approve");
  assert.equal(commandOf(press("a"), { ...free, isWriting: true }), null);
  assert.equal(commandOf(press("a", { ctrlKey: true }), free), null);
  assert.equal(commandOf(press("a", { metaKey: true }), free), null);
  assert.equal(commandOf(press("a"), { ...free, hasKeys: false }), null);
  assert.equal(commandOf(press("a", { isComposing: true }), free), null);
  assert.equal(commandOf(press("Enter"), { ...free, isOnControl: true }), null);
  assert.equal(commandOf(press("Enter", { ctrlKey: true }), { ...free, isWriting: true, hasKeys: false }).command, "submit");
  assert.equal(commandOf(press("Escape"), { ...free, isWriting: true, hasKeys: false }).command, "back");
});

test("events may come twice and late, and what is settled stays settled", () => {
  const asked = { ...request(), type: "human_input_required", event_id: "e1", seq: 1, timestamp: "2030-01-31T12:00:00Z" };
  const settled = { type: "human_input_completed", request_id: asked.request_id, status: "answered", decision: "respond", human_feedback: "yes", option_ids: [], values: null, edited: null, comment: "", reason: "", by: "key:a", channel: "http", event_id: "e2", timestamp: "2030-01-31T12:01:00Z" };
  const open = withAsked(new Map(), asked);
  const done = withSettled(open, settled);
  assert.equal(done.get(asked.request_id).status, "answered");
  assert.equal(saidOf(done.get(asked.request_id)), "yes");
  assert.equal(withAsked(done, asked), done);
  assert.equal(withSettled(done, { ...settled, human_feedback: "no" }), done);
  assert.equal(withListed(done, [open.get(asked.request_id)]).get(asked.request_id).status, "answered");
  assert.equal(withSettled(new Map(), settled).size, 0);
});

test("a list of all that is open takes the place of what was open before", () => {
  const [gone, stays, done, fresh] = [request(), request(), request({ status: "answered" }), request()];
  const before = new Map([gone, stays, done].map((one) => [one.request_id, one]));
  assert.deepEqual([...withOpen(before, [stays, fresh]).keys()], [stays, done, fresh].map(({ request_id }) => request_id));
});

test("addresses are read back as they are written, and nonsense is the list", () => {
  for (const route of [{ view: "waiting", requestId: null }, { view: "history", requestId: null }, { view: "waiting", requestId: "a.b~c:d-1" }, { view: "history", requestId: "x" }]) {
    assert.deepEqual(routeOf(hashOf(route)), route);
  }
  for (const hash of ["", "#", "#/requests/", "#/requests/a b", "#/requests/<x>", "#/other/x", `#/requests/${"x".repeat(129)}`]) assert.equal(routeOf(hash).requestId, null);
});

test("only what takes the same answers is answered at once", () => {
  const call = (name, args) => request({ kind: "approval", action: { name, args } });
  assert.ok(haveOneShape([call("pay", { a: 1 }), call("pay", { b: 2 })]));
  assert.ok(!haveOneShape([call("pay", {}), call("send", {})]));
  assert.ok(!haveOneShape([request(), review()]));
  assert.ok(!haveOneShape([request({ options: [{ id: "a", label: "" }] }), request({ options: [{ id: "b", label: "" }] })]));
  assert.ok(!haveOneShape([]));
});

test("of a long list, what is seen and a little more is drawn", () => {
  assert.deepEqual(windowOf({ count: 1000, row: 50, top: 5000, height: 500 }), { first: 94, last: 116 });
  assert.deepEqual(windowOf({ count: 3, row: 50, top: 0, height: 500 }), { first: 0, last: 3 });
  const { first, last } = windowOf({ count: 3, row: 50, top: 90_000, height: 500 });
  assert.ok(first <= last && last <= 3);
  assert.equal(scrolledTo(10, { row: 50, top: 0, height: 500 }), 50);
  assert.equal(scrolledTo(2, { row: 50, top: 200, height: 500 }), 100);
  assert.equal(scrolledTo(5, { row: 50, top: 200, height: 500 }), 200);
});

test("times are said in their largest unit", () => {
  assert.deepEqual([0, 59_999, 60_000, 3_599_999, 3_600_000, 172_799_999, 172_800_000].map(span), ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d"]);
  assert.equal(ago("2030-01-31T11:59:58Z", NOW), "now");
  assert.equal(span(-5), "0 s");
});

test("what is written becomes the submission that the kind takes", () => {
  const of = (one, mode, draft = {}) => submissionOf(one, mode, { mode, ...draft });
  assert.deepEqual(of(review(), "approve"), { submission: { decision: "approve" } });
  assert.deepEqual(of(review(), "edit", { edited: "Mine" }), { submission: { decision: "edit", edited: "Mine" } });
  assert.deepEqual(of(review(), "edit"), { submission: { decision: "edit", edited: "A draft." } });
  assert.ok(of(review(), "edit", { edited: " " }).faults);
  assert.deepEqual(of(review(), "respond", { text: " shorter " }), { submission: { decision: "respond", text: "shorter" } });
  assert.ok(of(review(), "respond").faults);
  assert.deepEqual(of(review(), "reject"), { submission: { decision: "reject" } });
  assert.deepEqual(of(review(), "reject", { reason: "no" }), { submission: { decision: "reject", text: "no" } });
  assert.deepEqual(of(request(), "respond"), { submission: { decision: "respond", text: "" } });
  const choice = request({ kind: "choice", options: [{ id: "a" }] });
  assert.ok(of(choice, "respond").faults);
  assert.deepEqual(of(choice, "respond", { option: "a", text: "lost" }), { submission: { decision: "respond", option_ids: ["a"] } });
  const flow = review({ options: [{ id: "ok" }] });
  assert.deepEqual(of(flow, "respond", { option: "ok", text: "but" }), { submission: { decision: "respond", option_ids: ["ok"], text: "but" } });
  const call = request({ kind: "approval", allow: ["approve", "edit", "reject"], action: { name: "pay", args: { a: 1 } } });
  assert.equal(editable(call), '{\n  "a": 1\n}');
  assert.deepEqual(of(call, "edit", { edited: '{"a": 2}' }), { submission: { decision: "edit", edited: { a: 2 } } });
  for (const edited of ["{", "[1]", "null", '"x"']) assert.ok(of(call, "edit", { edited }).faults, edited);
  const form = request({ kind: "form", response_schema: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] } });
  assert.deepEqual(of(form, "respond", { fields: { "/n": "3" } }), { submission: { decision: "respond", values: { __proto__: null, n: 3 } } });
  assert.ok(of(form, "respond").faults);
  assert.equal(firstMode(form), "respond");
  assert.equal(firstMode(review()), null);
});

test("an ending is told in words", () => {
  assert.equal(endingOf(request({ status: "answered", answer: { decision: "edit" } })), "edited");
  assert.equal(endingOf(request({ status: "expired" })), "ran out of time");
  assert.equal(endingOf(request({ status: "cancelled" })), "was given up");
});

test("the command for a shell is quoted, whatever an option is called", () => {
  const one = request({ kind: "choice", options: [{ id: "it's $(rm -rf ~)" }] });
  assert.equal(curlOf(one, "http://h/", false), `curl -d '{"option_ids":["it'\\''s $(rm -rf ~)"]}' http://h/requests/${one.request_id}/answer`);
  assert.match(curlOf(review(), "http://h/", true), /^curl -H "Authorization: Bearer \$SAYSO_API_KEY" -d /);
});

test("a notifier has trouble when it is off or fails, not while something waits for its time", () => {
  const one = { name: "ops", off: "", owed: 2, failing: [] };
  assert.deepEqual(troubles([one]), []);
  assert.deepEqual(troubles([{ ...one, failing: [{ why: "no answer within 15 s", attempts: 1 }] }]), ["ops could not deliver news of 2 runs: no answer within 15 s"]);
  assert.deepEqual(troubles([{ ...one, off: "the receiver said 410" }]), ["ops is switched off: the receiver said 410"]);
});
