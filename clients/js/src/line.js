/** The way to one server: addresses, key, one call at a time. Knows nothing of questions; never tries again. */

import { errorOf, parsed } from "./errors.js";
import { wished } from "./pauses.js";
import { textOf } from "./reading.js";
import { Watch } from "./watch.js";

export const SILENCE = 15_000;
/** Milliseconds without a byte after which a call counts as lost; a stream carries a comment every 4 s. */

/** @typedef {Record<string, string | number | null | undefined>} Query members that are null or undefined are left out */

export class Line {
  #base;
  #authorization;
  #fetch;

  /** @param {import("../index.d.ts").SaysoOptions} options */
  constructor({ url = "/", apiKey, fetch = globalThis.fetch.bind(globalThis) }) {
    const base = new URL(url, globalThis.location?.href);
    if (!/^https?:$/.test(base.protocol) || base.search || base.hash || base.username) {
      throw new TypeError("url must be as http://host:8000, without ?, # or user (the key is apiKey)");
    }
    this.#base = base.href.replace(/\/+$/, "");
    this.#authorization = apiKey ? { Authorization: `Bearer ${apiKey}` } : undefined;
    this.#fetch = fetch;
    new Headers(this.#authorization); // a key that no header can hold is told here, not taken for a lost call later
  }

  /**
   * A reply of status 2xx, its body not yet read. Throws a SaysoError for any other, and Unavailable for none.
   *
   * @param {string} path
   * @param {Watch} watch
   * @param {{ method?: string, query?: Query, headers?: Record<string, string>, body?: unknown }} [options]
   */
  async open(path, watch, { method = "GET", query = {}, headers, body } = {}) {
    const given = Object.entries(query).flatMap(([name, value]) => (value == null ? [] : [[name, String(value)]]));
    const search = given.length ? `?${new URLSearchParams(given)}` : "";
    const init = {
      method,
      headers: new Headers({ ...this.#authorization, ...headers }),
      signal: watch.signal,
      redirect: /** @type {const} */ ("manual"), // followed, a POST would become a GET and look like a success
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    if (body !== undefined) init.headers.set("Content-Type", "application/json");
    let response, text;
    try {
      response = await this.#fetch(this.#base + path + search, init);
      if (response.ok) return response;
      text = await textOf(response, watch.signal);
    } catch (error) {
      throw watch.cause(error);
    }
    throw errorOf(response.status, problem(text), wished(response.headers.get("Retry-After"), Date.now()));
  }

  /**
   * The JSON of a reply. `wait`: seconds that the server may hold the call.
   *
   * @param {string} path
   * @param {{ method?: string, query?: Query, body?: unknown, wait?: number | undefined, signal?: AbortSignal | undefined }} [options]
   * @returns {Promise<any>}
   */
  async call(path, { wait, query, signal, ...rest } = {}) {
    const watch = new Watch(SILENCE + (wait ?? 0) * 1000, signal);
    watch.start();
    try {
      const response = await this.open(path, watch, { query: { wait, ...query }, ...rest });
      const text = await textOf(response, watch.signal).catch((/** @type {unknown} */ error) => Promise.reject(watch.cause(error)));
      return parsed(text, response.status);
    } finally {
      watch.end();
    }
  }
}

/** @param {string} text */
function problem(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a page of a proxy's
  }
}
