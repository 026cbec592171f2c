/** Who is at this page: a session that the server keeps in a cookie which no script can read. */

/** @typedef {{ by: string | null, csrf: string, until: number, needs_key: boolean }} Session */

export class Sessions {
  #address;
  #csrf = "";
  isLeaving = false;
  /** While the page goes away, what is sent must outlive it. */

  /** @param {string} base */
  constructor(base) {
    this.#address = new URL("session", base).href;
  }

  /** The session there is; null when a key is needed. Throws when the server cannot be reached. @returns {Promise<Session | null>} */
  async look() {
    const session = await this.#call("GET");
    return session?.by == null && session?.needs_key === false ? this.begin("") : session?.by == null ? null : session;
  }

  /** @param {string} key @returns {Promise<Session | null>} */
  begin(key) {
    return this.#call("POST", JSON.stringify({ key }));
  }

  async end() {
    await this.fetch(this.#address, { method: "DELETE" });
  }

  /** As the platform's, with what the server asks of a page that changes something. @type {typeof fetch} */
  fetch = (input, init = {}) => {
    const changes = init.method !== undefined && init.method !== "GET";
    const headers = new Headers(init.headers);
    if (changes) headers.set("X-Sayso-CSRF", this.#csrf);
    return fetch(input, { ...init, headers, credentials: "same-origin", ...(changes && this.isLeaving && { keepalive: true, signal: null }) });
  };

  /** @param {string} method @param {string} [body] @returns {Promise<Session | null>} */
  async #call(method, body) {
    const response = await fetch(this.#address, { method, credentials: "same-origin", ...(body && { body, headers: { "Content-Type": "application/json" } }) });
    if (response.status === 401) return null;
    if (!response.ok) throw new Error((await response.json().catch(() => null))?.detail ?? `the server says ${response.status}`);
    const session = await response.json();
    this.#csrf = session.csrf;
    return session;
  }
}
