/** The service worker of a device: shows what the server pushes, and answers from there with the session of this browser. */

import { newId } from "../../js/src/new_id.js";
import { hashOf } from "./route.js";
import { Sessions } from "./session.js";
import { insteadOf, settledBy, told } from "./told.js";

/**
 * @typedef {import("./types.d.ts").Request} Request
 * @typedef {import("./told.js").Told} Told
 * @typedef {import("./told.js").Data} Data
 */

const worker = /** @type {any} */ (globalThis);
const base = new URL("..", location.href).href;
const PATIENCE = 10_000;
/** Milliseconds for the server to say what it is about; a browser soon shows words of its own otherwise. */

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("push", (/** @type {any} */ event) => event.waitUntil(hear(event.data.json())));
worker.addEventListener("notificationclick", (/** @type {any} */ event) => {
  const { notification, action } = event;
  event.waitUntil(notification.data.answers[action] ? answer(notification, action) : open(notification));
});

/** @param {import("./told.js").Message} message */
async function hear(message) {
  const [shown] = await worker.registration.getNotifications({ tag: message.id });
  const what = told(message, await look(message.id), shown?.data.answerId ?? newId());
  const pages = await pagesOpen();
  await show({ ...what, isSilent: what.isSilent || pages.some(({ focused }) => focused) }); // who looks there sees it come
}

/** @returns {Promise<any[]>} */
const pagesOpen = () => worker.clients.matchAll({ type: "window", includeUncontrolled: true });

/** @param {string} id @returns {Promise<Request | null>} null when nobody is signed in here, or the server is away */
async function look(id) {
  try {
    const response = await call(`requests/${id}`, {});
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** @param {Told} what */
function show({ title, body, buttons, isSilent, data }) {
  const icon = new URL("inbox/icon-192.png", base).href;
  return worker.registration.showNotification(title, { body, tag: data.id, data, actions: buttons, icon, silent: isSilent, renotify: !isSilent });
}

/** @param {any} notification @param {string} action */
async function answer(notification, action) {
  /** @type {Data} */
  const data = notification.data;
  const before = toldBy(notification);
  try {
    const response = await call(`requests/${data.id}/answer`, { method: "POST", body: JSON.stringify(data.answers[action]), headers: { "Content-Type": "application/json" } });
    const said = await response.json();
    if (response.ok) await show(ended(before, said));
    else if (said.request) await show(insteadOf(ended(before, said.request), `Not counted. ${settledBy(said.request, data.answerId)}`));
    else if (response.status === 401) await turnTo(before, "Sign in to answer");
    else if (response.status < 429) await turnTo(before, "This cannot be answered from here. Open it");
    else throw new Error(said.detail);
  } catch {
    await show(insteadOf(before, `Not sent: the server cannot be reached. Try again, or open it`));
  }
}

/** What cannot be done here is done in the inbox. @param {Told} before @param {string} body */
async function turnTo(before, body) {
  await show({ ...insteadOf(before, body), buttons: [], data: { ...before.data, answers: {} } });
  await arrive(before.data.id);
}

/** @param {any} notification */
async function open(notification) {
  notification.close();
  await arrive(notification.data.id);
}

/** In a page that is there, else in a new one. @param {string} id */
async function arrive(id) {
  const page = (await pagesOpen()).find((one) => one.url.split("#")[0] === base);
  try {
    if (!page) return void (await worker.clients.openWindow(`${base}${hashOf({ view: "waiting", requestId: id })}`));
    page.postMessage({ saysoOpen: id });
    await page.focus();
  } catch {
    // a browser that lets nothing be opened now; the notification stays to be pressed
  }
}

/** @param {Told} before @param {Request} request @returns {Told} */
const ended = (before, request) => told({ id: request.request_id, title: before.title, open: false }, request, before.data.answerId);

/** @param {any} notification @returns {Told} */
const toldBy = ({ title, body, actions, data }) => ({ title, body, buttons: actions ?? [], isSilent: false, data });

/** A call as whoever is signed in at this browser; as nobody, it gets 401. @param {string} path @param {RequestInit} how */
async function call(path, how) {
  const sessions = new Sessions(base);
  await sessions.look();
  return sessions.fetch(new URL(path, base), { ...how, signal: AbortSignal.timeout(PATIENCE) });
}
