/** What a person can answer, and how what they have written becomes a submission. Pure. */

import { diff } from "./diff.js";
import { begun, formOf, said, within } from "./form.js";

/**
 * @typedef {import("./types.d.ts").Request} Request
 * @typedef {import("./types.d.ts").Draft} Draft
 * @typedef {import("./types.d.ts").Fault} Fault
 * @typedef {import("./types.d.ts").Submission} Submission
 * @typedef {import("./types.d.ts").Mode} Mode
 */

/** What `e` starts from: the arguments as JSON, or the draft as it is. @param {Request} request */
export function editable(request) {
  return request.action ? JSON.stringify(request.action.args, null, 2) : request.context;
}

/** Whether an edit is one of the whole draft by a form of its schema. @param {Request} request */
export const editsByForm = (request) => !request.action && request.response_schema !== null && request.kind === "review";

/** The form of a request, where it is answered or edited by one. @param {Request} request */
export function formFor(request) {
  if (!request.response_schema) return null;
  return request.kind === "form" || editsByForm(request) || (request.kind !== "approval" && request.allow.includes("respond")) ? formOf(request.response_schema) : null;
}

/** What the fields of a request's form hold at first. @param {Request} request */
export function fieldsOf(request) {
  const form = formFor(request);
  return form ? begun(form, editsByForm(request) ? jsonOf(request.context) : undefined) : {};
}

/** How the answer to a request is begun: what has nothing but a response to give shows it at once. @param {Request} request @returns {Mode | null} */
export function firstMode(request) {
  return request.allow.length === 1 && request.allow[0] === "respond" ? "respond" : null;
}

/** Whether a response needs words: where options or a form say all, it has none. @param {Request} request */
export const hasWords = (request) => request.kind !== "choice" && request.kind !== "form" && !(request.kind === "question" && request.response_schema !== null);

/**
 * The submission that a draft means in this mode, or what is wrong with it.
 *
 * @param {Request} request
 * @param {Mode | "approve"} mode
 * @param {Draft} draft
 * @returns {{ submission: Submission } | { faults: readonly Fault[] }}
 */
export function submissionOf(request, mode, draft) {
  if (mode === "approve") return { submission: { decision: "approve" } };
  if (mode === "reject") {
    const text = (draft.reason ?? "").trim();
    return { submission: { decision: "reject", ...(text && { text }) } };
  }
  return mode === "edit" ? edited(request, draft) : responded(request, draft);
}

/** @param {Request} request @param {Draft} draft @returns {{ submission: Submission } | { faults: readonly Fault[] }} */
function edited(request, draft) {
  if (editsByForm(request)) {
    const { value, faults } = said(/** @type {import("./form.js").Field} */ (formFor(request)), draft.fields ?? fieldsOf(request));
    return faults.length ? { faults } : { submission: { decision: "edit", edited: value ?? null } };
  }
  const text = draft.edited ?? editable(request);
  if (!request.action) return text.trim() ? { submission: { decision: "edit", edited: text } } : fault("write the text to use instead");
  const args = jsonOf(text);
  if (args === undefined) return fault(jsonFault(text));
  if (args === null || typeof args !== "object" || Array.isArray(args)) return fault("must be a JSON object: the arguments to run instead");
  return { submission: { decision: "edit", edited: args } };
}

/** @param {Request} request @param {Draft} draft @returns {{ submission: Submission } | { faults: readonly Fault[] }} */
function responded(request, draft) {
  const form = formFor(request);
  if (form && !hasWords(request)) {
    const { value, faults } = said(form, draft.fields ?? fieldsOf(request));
    return faults.length ? { faults } : { submission: { decision: "respond", values: value ?? null } };
  }
  const text = (draft.text ?? "").trim();
  if (draft.option !== undefined) return { submission: { decision: "respond", option_ids: [draft.option], ...(text && hasWords(request) && { text }) } };
  if (request.kind === "choice") return fault("choose one of the options");
  if (!text && (request.kind === "review" || request.kind === "approval")) return fault("say what to change");
  return { submission: { decision: "respond", text } };
}

/** The server's faults as those of the fields that they are about. @param {readonly Fault[]} faults */
export const faultsHere = (faults) => within(within(faults, "/values"), "/edited");

/** What an edit changes. @param {Request} request @param {Draft} draft */
export const changesOf = (request, draft) => diff(editable(request), draft.edited ?? editable(request));

/** @param {string} detail */
const fault = (detail) => ({ faults: [{ pointer: "", detail }] });

/** @param {string} text @returns {any} undefined when it is no JSON */
function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {string} text */
function jsonFault(text) {
  try {
    JSON.parse(text);
  } catch (/** @type {any} */ error) {
    return `is not JSON: ${error.message}`;
  }
  return "";
}
