/** What the server cannot tell others: notifiers that fail, or were switched off. For whoever may see them. */

import { counted } from "./words.js";

/**
 * @typedef {{ why: string, attempts: number }} Failing
 * @typedef {{ name: string, off: string, owed: number, failing: readonly Failing[] }} Notifier
 */

const AGAIN = 60_000;

export class Troubles {
  #address;
  #fetch;
  #tell;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isOn = false;

  /** @param {string} base @param {typeof fetch} fetch with the session @param {(troubles: readonly string[]) => void} tell */
  constructor(base, fetch, tell) {
    this.#address = new URL("notifiers", base);
    this.#fetch = fetch;
    this.#tell = tell;
  }

  /** Looks now, and every minute while the page is seen; not again where this session may not. */
  async look() {
    clearTimeout(this.#timer);
    this.#isOn = true;
    if (document.visibilityState === "visible") {
      const response = await this.#fetch(this.#address).catch(() => null);
      if (response?.status === 401 || response?.status === 403) return;
      if (response?.ok) this.#tell(troubles((await response.json()).notifiers));
    }
    if (this.#isOn) this.#timer = setTimeout(() => void this.look(), AGAIN);
  }

  end() {
    this.#isOn = false;
    clearTimeout(this.#timer);
  }
}

/** A line for each notifier that has some. @param {readonly Notifier[]} notifiers */
export function troubles(notifiers) {
  return notifiers.flatMap(({ name, off, owed, failing }) => {
    const [first] = failing;
    if (off) return [`${name} is switched off: ${off}`];
    return first ? [`${name} could not deliver news of ${counted(owed, "run")}: ${first.why}`] : [];
  });
}
