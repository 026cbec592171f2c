/** Tells a person who looks elsewhere: notifications of the system, the count in the tab's title and on the icon. */

import { agentOf, titleOf } from "./words.js";

export class Notifier {
  #icon;
  #isPage;
  #open;
  #count = 0;

  /** @param {string} base @param {boolean} isPage @param {(id: string) => void} open */
  constructor(base, isPage, open) {
    this.#icon = new URL("inbox/icon-192.png", base).href;
    this.#isPage = isPage;
    this.#open = open;
  }

  get isAllowed() {
    return "Notification" in globalThis && Notification.permission === "granted";
  }

  async allow() {
    if (!("Notification" in globalThis)) return false;
    return this.isAllowed || (await Notification.requestPermission()) === "granted";
  }

  /** Once for all tabs, since a notification takes the place of one with the same tag. @param {import("./types.d.ts").Request} request */
  tell(request) {
    if (!this.isAllowed || (document.visibilityState === "visible" && document.hasFocus())) return;
    try {
      const told = new Notification(titleOf(request), { body: `${agentOf(request)} waits for you`, tag: request.request_id, icon: this.#icon });
      told.onclick = () => {
        window.focus();
        this.#open(request.request_id);
        told.close();
      };
    } catch {
      // a phone's browser, which lets only a service worker notify
    }
  }

  /** How many wait, where a page that is not looked at can show it. The page of someone else is left alone. @param {number} count */
  badge(count) {
    if (!this.#isPage || count === this.#count) return;
    this.#count = count;
    document.title = count ? `(${count.toLocaleString()}) sayso inbox` : "sayso inbox";
    /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel="icon"]'))?.setAttribute("href", `inbox/${count ? "icon-waiting" : "icon"}.svg`);
    const { setAppBadge, clearAppBadge } = /** @type {any} */ (navigator);
    void (count ? setAppBadge?.call(navigator, count) : clearAppBadge?.call(navigator))?.catch?.(() => {});
  }
}
