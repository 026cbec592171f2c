/** Answers that are held back for some seconds, so that they can be taken back. Pure. */

/** @typedef {import("./types.d.ts").Held} Held */

export const UNDO = 5000;
/** Milliseconds. */
export const LARGEST = 60_000;
/** Bytes that a browser still sends for a page that goes away (64 KiB, RFC-less: the Fetch standard); more is not held. */

/** Whether an answer can be held, and still be sent when the page goes away. @param {unknown} submission */
export const canBeHeld = (submission) => new TextEncoder().encode(JSON.stringify(submission)).length < LARGEST;

/** Those whose time has come. @param {readonly Held[]} held @param {number} now */
export const due = (held, now) => held.filter((one) => one.until <= now);

/** The one given last, which `u` takes back. @param {readonly Held[]} held */
export const latest = (held) => held.at(-1);

/** @param {readonly Held[]} held @param {string} id */
export const without = (held, id) => held.filter((one) => one.id !== id);

/** The one that answers this request. @param {readonly Held[]} held @param {string} requestId */
export const answering = (held, requestId) => held.find((one) => one.requests.some((request) => request.request_id === requestId));

/** Without this request; a batch goes on without the one that someone else has answered. @param {readonly Held[]} held @param {string} requestId */
export function withoutRequest(held, requestId) {
  return held
    .map((one) => ({ ...one, requests: one.requests.filter((request) => request.request_id !== requestId) }))
    .filter((one) => one.requests.length);
}
