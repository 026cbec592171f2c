/** Which requests a search means: words, and `agent:Writer run:order-42 kind:form status:expired older:2h`. Pure. */

import { agentOf, personOf } from "./words.js";

/** @typedef {import("./types.d.ts").Request} Request */
/** @typedef {{ words: string[], fields: Map<string, string[]> }} Query */

export const FIELDS = ["agent", "run", "kind", "status", "priority", "by", "for", "older", "newer"];
const UNITS = { s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const TERM = /(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))/gi;

const ID_PART = 6;
/** Letters of a request's id that are enough to mean it; fewer are in every second one. */

/** @param {string} text @returns {Query} */
export function parsed(text) {
  /** @type {Query} */
  const query = { words: [], fields: new Map() };
  for (const [whole, name = "", quoted, bare] of text.matchAll(TERM)) {
    const field = name.toLowerCase();
    const value = (quoted ?? bare ?? "").toLowerCase();
    if (!FIELDS.includes(field)) query.words.push(field && quoted !== undefined ? value : whole.replace(/^"|"$/g, "").toLowerCase());
    else if (value) query.fields.set(field, [...(query.fields.get(field) ?? []), value]);
  }
  return query;
}

/**
 * Whether `request` is meant: every word is somewhere in it, and of each field one value fits.
 *
 * @param {Request} request
 * @param {Query} query
 * @param {number} now ms
 */
export function fits(request, query, now) {
  if (!query.words.length && !query.fields.size) return true;
  const text = query.words.length ? textOf(request) : "";
  const says = (/** @type {string} */ word) => text.includes(word) || (word.length >= ID_PART && request.request_id.toLowerCase().includes(word));
  return query.words.every(says) && [...query.fields].every(([field, values]) => values.some((value) => has(request, field, value, now)));
}

/** What a field is set to in `text`; "" when it is not. @param {string} text @param {string} field */
export const fieldOf = (text, field) => parsed(text).fields.get(field)?.[0] ?? "";

/**
 * `text` with this value of a field in place of any other; "" takes the field out.
 *
 * @param {string} text
 * @param {string} field
 * @param {string} value
 */
export function withField(text, field, value) {
  const rest = text
    .replace(new RegExp(`(^|\\s)${field}:(?:"[^"]*"?|\\S*)`, "gi"), " ")
    .replace(/\s+/g, " ")
    .trim();
  const term = value && `${field}:${/\s/.test(value) ? `"${value}"` : value}`;
  return [rest, term].filter(Boolean).join(" ");
}

/** @param {Request} request */
function textOf(request) {
  const { title, prompt, context, execution_id, action } = request;
  return [title, prompt, context, execution_id, agentOf(request), action?.name ?? ""].join("\n").toLowerCase();
}

/** @param {Request} request @param {string} field @param {string} value @param {number} now */
function has(request, field, value, now) {
  const age = now - Date.parse(request.created_at);
  switch (field) {
    case "agent":
      return agentOf(request).toLowerCase().includes(value);
    case "run":
      return request.execution_id.toLowerCase() === value;
    case "by":
      return `${request.settled_by ?? ""} ${request.settled_channel ?? ""} ${personOf(request.settled_by)}`.toLowerCase().includes(value);
    case "for":
      return request.assignees.some((name) => name.toLowerCase() === value);
    case "older":
      return age >= lengthOf(value);
    case "newer":
      return age <= lengthOf(value);
    default:
      return String(request[/** @type {"kind" | "status" | "priority"} */ (field)]) === value;
  }
}

/** Milliseconds of `90s`, `2h`, `3d`; NaN, which nothing is older or newer than, for anything else. @param {string} text */
function lengthOf(text) {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(text) ?? [];
  return Number(number) * (UNITS[/** @type {keyof typeof UNITS} */ (unit)] ?? NaN);
}
