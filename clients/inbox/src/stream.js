/** The one stream of everything that is asked and settled, kept up for all tabs of a browser. */

import { Sayso } from "../../js/src/index.js";

/**
 * What a tab hears. `ready`: what happens from now on is told, so what is open is to be listed now. `ended`: it will not
 * go on by itself, `code` says why.
 *
 * @typedef {{ type: "ready" } | { type: "link", link: import("./types.d.ts").Link } | { type: "message", message: import("./types.d.ts").Message } | { type: "ended", code: string }} Told
 */

export class Stream {
  #client;
  #tell;
  /** @type {AbortController | undefined} */
  #stop;
  /** @type {string | null | undefined} */
  #cursor;
  /** @type {import("./types.d.ts").Link} */
  #link = "connecting";

  /** @param {string} base the server's address @param {(told: Told) => void} tell */
  constructor(base, tell) {
    this.#client = new Sayso({ url: base });
    this.#tell = tell;
  }

  /** What someone who joins is to know; empty before it is ready. @returns {Told[]} */
  get standing() {
    /** @type {Told[]} */
    const told = [{ type: "link", link: this.#link }];
    return this.#cursor === undefined ? told : [...told, { type: "ready" }];
  }

  /** Begins, or goes on where it was; nothing when it runs. */
  start() {
    if (this.#stop) return;
    this.#stop = new AbortController();
    void this.#run(this.#stop.signal);
  }

  /** Tries at once, where it would wait before its next try. */
  nudge() {
    if (this.#link === "open") return;
    this.stop();
    this.start();
  }

  stop() {
    this.#stop?.abort();
    this.#stop = undefined;
    if (this.#link === "open") this.#becomes("connecting"); // nobody listens, so nobody can say that it is heard
  }

  /** Stops, and forgets how far it had come. */
  end() {
    this.stop();
    this.#cursor = undefined;
    this.#becomes("connecting");
  }

  /** @param {AbortSignal} signal */
  async #run(signal) {
    try {
      await this.#begin(signal);
      const onState = (/** @type {"open" | "broken"} */ state) => signal.aborted || this.#becomes(state);
      const follower = this.#client.follow({ after: this.#cursor, signal, onState });
      for await (const message of follower) {
        if (signal.aborted) return;
        this.#cursor = follower.cursor;
        this.#tell(message.type === "reset" ? { type: "ready" } : { type: "message", message });
      }
    } catch (/** @type {any} */ error) {
      if (signal.aborted) return;
      this.end();
      this.#tell({ type: "ended", code: error?.code ?? "internal" });
    }
  }

  /** Finds a cursor to follow from: what was asked before it, each tab lists for itself. @param {AbortSignal} signal */
  async #begin(signal) {
    for (let pause = 200; this.#cursor === undefined; pause = Math.min(pause * 2, 10_000)) {
      try {
        const listing = this.#client.list({ limit: 1, signal });
        await listing.next();
        signal.throwIfAborted();
        this.#cursor = listing.cursor ?? null;
        this.#tell({ type: "ready" });
      } catch (/** @type {any} */ error) {
        if (signal.aborted || !error.retry) throw error;
        this.#becomes("broken");
        await new Promise((resolve) => setTimeout(resolve, pause));
        signal.throwIfAborted();
      }
    }
  }

  /** @param {import("./types.d.ts").Link} link */
  #becomes(link) {
    if (this.#link === link) return;
    this.#link = link;
    this.#tell({ type: "link", link });
  }
}
