/** How the page says things: times, people, channels, decisions. Pure. */

import { plainLine } from "./visible.js";

/** @typedef {import("./types.d.ts").Request} Request */

const STEPS = /** @type {const} */ ([
  [60_000, 1000, "s"],
  [3_600_000, 60_000, "min"],
  [172_800_000, 3_600_000, "h"],
  [Infinity, 86_400_000, "d"],
]);

/** A length of time in its largest unit: `42 s`, `3 min`, `5 h`, `12 d`. @param {number} ms */
export function span(ms) {
  const length = Math.max(0, ms);
  const [, unit, name] = /** @type {(typeof STEPS)[number]} */ (STEPS.find(([limit]) => length < limit));
  return `${Math.floor(length / unit)} ${name}`;
}

/** How long ago, or `now`. @param {string} moment @param {number} now */
export function ago(moment, now) {
  const ms = now - Date.parse(moment);
  return ms < 5000 ? "now" : span(ms);
}

/** A moment as this person's calendar writes it. @param {string} moment */
export function exactly(moment) {
  return new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** Who asks: the agent by name where the framework says it, else where the question comes from. @param {Request} request */
export function agentOf(request) {
  const named = request.context_data?.["agent"];
  return typeof named === "string" && named.trim() ? plainLine(named) : request.source.name;
}

/** The task, where the framework says it. @param {Request} request */
export function taskOf(request) {
  const named = request.context_data?.["task"];
  return typeof named === "string" ? plainLine(named) : "";
}

/** @param {Request} request */
export function titleOf(request) {
  return plainLine(request.title) || plainLine(request.prompt).slice(0, 120) || "Untitled";
}

const PEOPLE = new Map([
  ["anonymous", "someone on this machine"],
  ["key:default", "someone with the key"],
  ["session:default", "someone"],
  ["system:deadline", "the deadline"],
  ["system:asker", "the asker"],
]);
const CHANNELS = new Map([
  ["inbox", "in the inbox"],
  ["http", "over HTTP"],
  ["websocket", "over a WebSocket"],
  ["terminal", "in a terminal"],
  ["system", ""],
]);

/** @param {string | null} by */
export const personOf = (by) => (by === null ? "someone" : (PEOPLE.get(by) ?? by.replace(/^(key|session):/, "")));
/** @param {string | null} channel */
export const channelOf = (channel) => (channel === null ? "" : (CHANNELS.get(channel) ?? `by ${channel}`));

const DONE = { approve: "approved", edit: "edited", respond: "responded", reject: "rejected" };

/** What became of it, in one word. @param {Request} request */
export function endingOf(request) {
  if (request.status === "expired") return "ran out of time";
  if (request.status === "cancelled") return "was given up";
  if (request.status === "pending") return "waits";
  return request.answer ? DONE[request.answer.decision] : "answered";
}

/** What a person said, as one text; "" for a plain approval. @param {Request} request */
export function saidOf(request) {
  const { answer } = request;
  if (!answer) return request.reason;
  const chosen = answer.option_ids.map((id) => request.options.find((option) => option.id === id)?.label || id).join(", ");
  const text = [chosen, answer.text ?? ""].filter(Boolean).join(": ");
  if (text) return text;
  const value = answer.edited ?? answer.values;
  return value === null ? answer.comment : typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : many}`;
