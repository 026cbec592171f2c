/** This browser as a device that the server tells by push, also while no page is open. */

import { trusted } from "./feed.js";

export class Device {
  #base;
  #fetch;

  /** @param {string} base @param {typeof fetch} fetch with the session @param {(id: string) => void} open */
  constructor(base, fetch, open) {
    this.#base = base;
    this.#fetch = fetch;
    const { serviceWorker } = /** @type {any} */ (navigator);
    serviceWorker?.addEventListener("message", (/** @type {MessageEvent} */ { data }) => typeof data?.saysoOpen === "string" && open(data.saysoOpen));
    serviceWorker?.startMessages?.();
  }

  /** Why this browser cannot be told while no page is open; "" where it can. */
  get lack() {
    if (!isSecureContext) return "This address is not https://";
    if (new URL(this.#base).origin !== location.origin) return "This page is another server's";
    if (!("serviceWorker" in navigator) || !("PushManager" in globalThis)) return isApple() ? "On an iPhone or iPad, add this page to the Home Screen and open it there" : "This browser has no push";
    return "";
  }

  /** Has the server tell this device, and renews that where it does. Throws an Error that says why it cannot. */
  async on() {
    if (this.lack) throw new Error(this.lack);
    const { public_key: key, why } = await this.#call("GET", "push");
    if (key === null) throw new Error(why);
    const registration = await navigator.serviceWorker.register(trusted(new URL("inbox/push.js", this.#base).href));
    await active(registration);
    const there = await registration.pushManager.getSubscription();
    if (there && textOf(there.options.applicationServerKey) !== key) await there.unsubscribe(); // of a store that is no more
    const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    const { id } = await this.#call("POST", "push", JSON.stringify(subscription));
    this.#id = id;
  }

  /** Has it told no more; what the server does not hear of now, it hears of from the push service. */
  async off() {
    if (this.lack) return;
    const registration = await navigator.serviceWorker.getRegistration(new URL("inbox/", this.#base).href);
    await (await registration?.pushManager.getSubscription())?.unsubscribe();
    if (this.#id) await this.#fetch(new URL(`push/${this.#id}`, this.#base), { method: "DELETE" });
    this.#id = "";
  }

  #id = "";

  /** @param {string} method @param {string} path @param {string} [body] */
  async #call(method, path, body) {
    const response = await this.#fetch(new URL(path, this.#base), { method, ...(body && { body, headers: { "Content-Type": "application/json" } }) });
    const said = await response.json();
    if (!response.ok) throw new Error(said.detail ?? `the server says ${response.status}`);
    return said;
  }
}

/** What keeps a page from notifying at all, as far as it can be told. */
export function refusal() {
  if (!isSecureContext) return "This address is not https://, and browsers notify from nowhere else.";
  if (isApple() && !("Notification" in globalThis)) return "On an iPhone or iPad, add this page to the Home Screen and open it there.";
  return "It was refused before, or by the browser's settings; there it can be allowed for this address.";
}

const isApple = () => /iPhone|iPad|Macintosh.*Mobile/.test(navigator.userAgent);

/** @param {ServiceWorkerRegistration} registration */
async function active(registration) {
  const coming = registration.installing ?? registration.waiting;
  if (registration.active || !coming) return;
  await new Promise((done, fail) =>
    coming.addEventListener("statechange", () => {
      if (coming.state === "activated") done(undefined);
      if (coming.state === "redundant") fail(new Error("The browser did not take the service worker"));
    }),
  );
}

/** URL-safe Base64, as the server writes its key. @param {ArrayBuffer | null} data */
function textOf(data) {
  const text = btoa(String.fromCharCode(...new Uint8Array(data ?? new ArrayBuffer(0))));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
