/** All pages of a list as one. */

import { misconfigured, objects } from "./errors.js";

/** @typedef {import("../index.d.ts").Request} Request */

/** @implements {AsyncIterableIterator<Request>} */
export class Listing {
  /** @type {string | null | undefined} */
  cursor = undefined;
  #requests;

  /** @param {(after: string | undefined) => Promise<{ requests: Request[], next: string | null, cursor: string | null }>} read */
  constructor(read) {
    this.#requests = this.#all(read);
  }

  next() {
    return this.#requests.next();
  }

  return() {
    return this.#requests.return(undefined);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /**
   * @param {(after: string | undefined) => Promise<{ requests: Request[], next: string | null, cursor: string | null }>} read
   * @returns {AsyncGenerator<Request, undefined, undefined>}
   */
  async *#all(read) {
    let page = await read(undefined);
    this.cursor = page.cursor; // of the first page: what changes while later ones are read comes after it
    yield* objects(page.requests);
    const seen = new Set();
    while (page.next != null) {
      if (seen.has(page.next)) throw misconfigured("a list that has no end");
      seen.add(page.next);
      page = await read(page.next);
      yield* objects(page.requests);
    }
    return undefined;
  }
}
