import assert from "node:assert/strict";
import test from "node:test";
import { settledBy, told } from "../src/told.js";
import { request, review } from "./requests.js";

const message = { id: "r", title: "Ship it?", open: true };
const action = { name: "refund", args: { order: "A-1" }, digest: "d1" };
const approval = (members = {}) => request({ kind: "approval", allow: ["approve", "edit", "reject"], action, prompt: "Refund?", ...members });
const labels = (what) => what.buttons.map(({ title }) => title);

test("what was not asked of the server has its title and no button", () => {
  assert.deepEqual(told(message, null, "a"), { title: "Ship it?", body: "Open the inbox to see it", buttons: [], isSilent: false, data: { id: "r", answerId: "a", answers: {} } });
  assert.equal(told({ ...message, open: false }, null, "a").isSilent, true);
  assert.equal(told({ ...message, title: " \u202e" }, null, "a").title, "[RLO]");
});

test("buttons answer under an id of their own, about the call that is shown", () => {
  const what = told(message, approval(), "a");
  assert.equal(what.body, 'http\nRefund?\nrefund({"order":"A-1"})');
  assert.deepEqual(what.data.answers, {
    approve: { decision: "approve", action_digest: "d1", answer_id: "a-approve" },
    reject: { decision: "reject", action_digest: "d1", answer_id: "a-reject" },
  });
});

test("where a word more would not fit, there is no button", () => {
  const room = 240 - told(message, approval({ context: "x" }), "a").body.length + 1;
  assert.deepEqual(labels(told(message, approval({ context: "x".repeat(room) }), "a")), ["Approve", "Reject"]);
  for (const members of [{ context: "x".repeat(room + 1) }, { prompt: "a\nb\nc\nd\ne\nf" }, { round: 2 }, { reason_flags: { ambiguity: true } }, { response_schema: {} }]) {
    const what = told(message, approval(members), "a");
    assert.deepEqual([labels(what), what.data.answers], [[], {}]);
    assert.match(what.body, /Open it to see it whole/);
  }
});

test("nothing hides in what is decided upon", () => {
  const hidden = approval({ prompt: "Refund\u200b?", action: { ...action, args: { to: "\u202emoc.live" } } });
  assert.equal(told(message, hidden, "a").body, 'http\nRefund[ZWSP]?\nrefund({"to":"[RLO]moc.live"})');
});

test("what takes words, or gives no choice of two, has no button", () => {
  const pair = [{ id: "a", label: "Now", description: "" }, { id: "b", label: "", description: "at night" }];
  const choice = (members) => request({ kind: "choice", options: pair, ...members });
  assert.deepEqual(labels(told(message, choice({}), "a")), ["Now", "b"]);
  assert.deepEqual(told(message, choice({}), "a").data.answers["option-1"], { decision: "respond", option_ids: ["b"], answer_id: "a-option-1" });
  const others = [request(), choice({ options: pair.slice(1) }), choice({ options: [...pair, pair[0]] }), choice({ options: [pair[0], { ...pair[1], label: "x".repeat(25) }] }), review({ allow: ["approve"] }), review({ allow: ["respond", "reject"] })];
  for (const one of others) assert.deepEqual(labels(told(message, one, "a")), [], one.kind);
});

test("what is settled says how, quietly, and to whoever answered it here, that it was they", () => {
  const answer = { decision: "approve", answer_id: "other", option_ids: [], text: null };
  const settled = approval({ status: "answered", answer, settled_by: "session:ada", settled_channel: "inbox" });
  const what = told({ ...message, open: false }, settled, "a");
  assert.deepEqual([what.body, what.isSilent, what.buttons], ["Approved by ada in the inbox", true, []]);
  assert.equal(settledBy({ ...settled, answer: { ...answer, answer_id: "a-approve" } }, "a"), "You approved");
  assert.equal(settledBy(approval({ status: "expired" }), "a"), "Ran out of time");
});
