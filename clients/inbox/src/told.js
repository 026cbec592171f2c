/** What a push message becomes: the notification with its buttons, and what each of them answers. Pure. */

import { pieces, plainLine } from "./visible.js";
import { agentOf, channelOf, endingOf, personOf, titleOf } from "./words.js";

/**
 * @typedef {import("./types.d.ts").Request} Request
 * @typedef {import("./types.d.ts").Submission} Submission
 * @typedef {{ id: string, title: string, open: boolean }} Message what the server sends; nothing else of a request
 * @typedef {{ id: string, answerId: string, answers: Record<string, Submission> }} Data what the buttons answer
 * @typedef {{ title: string, body: string, buttons: { action: string, title: string }[], isSilent: boolean, data: Data }} Told
 */

const CHARACTERS = 240;
const LINES = 6;
/** Of a notification that is opened out, so many are shown everywhere. */
const LABEL = 24;
/** Characters of a button; one that is cut off may mean something else. */

/**
 * What waits, with buttons only where all that they decide upon can be read right there; else it is looked at in the inbox.
 *
 * @param {Message} message
 * @param {Request | null} request as the server has it now; null when it could not be asked
 * @param {string} answerId of the answers that are given from here
 * @returns {Told}
 */
export function told(message, request, answerId) {
  const data = { id: message.id, answerId, answers: {} };
  if (request === null) {
    const title = plainLine(message.title) || "A question";
    return { title, body: message.open ? "Open the inbox to see it" : "Does not wait any more", buttons: [], isSilent: !message.open, data };
  }
  const title = titleOf(request);
  if (request.status !== "pending") return { title, body: settledBy(request, answerId), buttons: [], isSilent: true, data };
  const whole = wholeOf(request);
  if (whole === null) return { title, body: `${agentOf(request)} waits for you. Open it to see it whole`, buttons: [], isSilent: false, data };
  const buttons = buttonsOf(request);
  const seen = request.action && { action_digest: request.action.digest }; // of the call that is shown, and no other
  const answers = Object.fromEntries(buttons.map(({ action, submission }) => [action, { ...submission, ...seen, answer_id: `${answerId}-${action}` }]));
  return { title, body: whole, buttons: buttons.map(({ action, title: label }) => ({ action, title: label })), isSilent: false, data: { ...data, answers } };
}

/** Another word on what was told, in the place of it. @param {Told} before @param {string} body @returns {Told} */
export const insteadOf = (before, body) => ({ ...before, body });

/** Who settled it, and how. @param {Request} request @param {string} answerId */
export function settledBy(request, answerId) {
  if (request.answer?.answer_id.startsWith(`${answerId}-`)) return `You ${endingOf(request)}${chosenIn(request)}`;
  const ending = `${capital(endingOf(request))}${chosenIn(request)}`;
  return request.status === "answered" ? `${ending} by ${personOf(request.settled_by)} ${channelOf(request.settled_channel)}`.trim() : ending;
}

/** @param {Request} request */
function chosenIn(request) {
  const labels = (request.answer?.option_ids ?? []).map((id) => request.options.find((option) => option.id === id)?.label || id);
  return labels.length ? `: ${plainLine(labels.join(", "))}` : "";
}

/** Everything that the inbox shows of a request at first sight, as text; null where that is too much for a phone. @param {Request} request */
function wholeOf(request) {
  const isPlain = request.response_schema === null && request.round === 1 && !Object.values(request.reason_flags).some(Boolean);
  const prompt = plainLine(request.prompt) === titleOf(request) ? "" : visible(request.prompt);
  const call = request.action ? visible(`${request.action.name}(${JSON.stringify(request.action.args)})`) : "";
  const options = request.options.map(({ label, description }) => (description ? visible(`${label}: ${description}`) : "")).filter(Boolean);
  const text = [agentOf(request), prompt, call, visible(request.context), ...options].filter(Boolean).join("\n");
  return isPlain && text.length <= CHARACTERS && text.split("\n").length <= LINES ? text : null;
}

/** Approve and reject, or two options; nothing for what takes words. @param {Request} request @returns {{ action: string, title: string, submission: Submission }[]} */
function buttonsOf(request) {
  const { allow, options } = request;
  if (!options.length && allow.includes("approve") && allow.includes("reject")) {
    return [
      { action: "approve", title: "Approve", submission: { decision: "approve" } },
      { action: "reject", title: "Reject", submission: { decision: "reject" } },
    ];
  }
  const labels = options.map(({ id, label }) => plainLine(label || id));
  if (options.length !== 2 || allow.join() !== "respond" || labels.some((label) => label.length > LABEL)) return [];
  return options.map(({ id }, at) => ({ action: `option-${at}`, title: labels[at] ?? "", submission: { decision: "respond", option_ids: [id] } }));
}

/** Text whose every character is seen. @param {string} text */
function visible(text) {
  return pieces(text)
    .map((piece) => (typeof piece === "string" ? piece : `[${piece.name}]`))
    .join("")
    .trim();
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
