/** How a tab hears the stream: from the worker that all tabs share, or, where there is none, by itself while it is seen. */

import { Stream } from "./stream.js";

/** Filled in by the build, so that a page never talks to the worker of another version. */
const WORKER = globalThis.SAYSO_WORKER ?? "worker.js";

/**
 * @param {string} base
 * @param {(told: import("./stream.js").Told) => void} tell
 * @returns {{ join: () => void, leave: () => void, nudge: () => void, end: () => void }}
 */
export function feed(base, tell) {
  return shared(base, tell) ?? own(base, tell);
}

/** @param {string} base @param {(told: import("./stream.js").Told) => void} tell */
function shared(base, tell) {
  if (!("SharedWorker" in globalThis)) return null;
  /** @type {MessagePort} */
  let port;
  try {
    port = new SharedWorker(trusted(new URL(`inbox/${WORKER}`, base).href), { name: "sayso" }).port;
  } catch {
    return null; // a page whose own policy forbids it
  }
  port.onmessage = ({ data }) => tell(data);
  const send = (/** @type {string} */ order) => () => port.postMessage(order);
  return { join: send("join"), leave: send("leave"), nudge: send("nudge"), end: send("end") };
}

/** @param {string} base @param {(told: import("./stream.js").Told) => void} tell */
function own(base, tell) {
  const stream = new Stream(base, tell);
  let isWanted = false;
  const look = () => (isWanted && document.visibilityState === "visible" ? stream.start() : stream.stop());
  const want = (/** @type {boolean} */ wanted) => () => {
    isWanted = wanted;
    if (wanted) document.addEventListener("visibilitychange", look);
    else document.removeEventListener("visibilitychange", look);
    look();
  };
  return { join: want(true), leave: want(false), nudge: () => stream.nudge(), end: () => stream.end() };
}

/** @param {string} url @returns {any} */
export function trusted(url) {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  return types ? (policy ??= types.createPolicy("sayso-worker", { createScriptURL: (/** @type {string} */ address) => address })).createScriptURL(url) : url;
}

/** @type {any} */
let policy;
