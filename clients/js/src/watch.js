/** Notices that the other side has fallen silent. */

import { SaysoError, Unavailable } from "./errors.js";

/** A signal that aborts with `outer`, or when a wait between `start` and `rest` takes longer than `ms`. */
export class Watch {
  #stop = new AbortController();
  #ms;
  #outer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #abort = () => this.#stop.abort(this.#outer?.reason);

  /**
   * @param {number} ms
   * @param {AbortSignal} [outer]
   */
  constructor(ms, outer) {
    this.#ms = ms;
    this.#outer = outer;
    outer?.addEventListener("abort", this.#abort);
    if (outer?.aborted) this.#abort();
  }

  get signal() {
    return this.#stop.signal;
  }

  start() {
    this.rest();
    this.#timer = setTimeout(() => this.#stop.abort(new Unavailable(`nothing came for ${this.#ms} ms`)), this.#ms);
  }

  rest() {
    clearTimeout(this.#timer);
  }

  /** Lets go of everything, also of a body that was not read to its end. */
  end() {
    this.rest();
    this.#outer?.removeEventListener("abort", this.#abort);
    this.#stop.abort();
  }

  /**
   * What to throw for `error`, which came from the network while this watched.
   *
   * @param {unknown} error
   */
  cause(error) {
    if (error instanceof SaysoError) return error; // of ours, not of the network's
    if (this.#outer?.aborted) return this.#outer.reason;
    const { reason } = this.#stop.signal;
    return reason instanceof Unavailable ? reason : new Unavailable("no reply, or not all of it", { cause: error });
  }
}
