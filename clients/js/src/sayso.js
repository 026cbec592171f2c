/** The client: asks, looks, lists, answers, cancels, follows. */

import { NotFound } from "./errors.js";
import { Follower } from "./follower.js";
import { Line } from "./line.js";
import { Listing } from "./listing.js";
import { newId } from "./new_id.js";
import { Pauses, persist, sleep } from "./pauses.js";

/**
 * @typedef {import("../index.d.ts").Request} Request
 * @typedef {import("../index.d.ts").CallOptions} CallOptions
 */

const TRIES = 5;
/** How often an ask or an answer is sent before it fails: a lost reply is got over, a server that is away is told of. */
const WAIT = 25;
/** Seconds that the server holds a look at a pending request. */
const HELD = 1000;
/** Milliseconds from which on a look counts as one that was held. */

export class Sayso {
  #line;

  /** @param {import("../index.d.ts").SaysoOptions} [options] */
  constructor(options = {}) {
    this.#line = new Line(options);
  }

  /**
   * @param {import("../index.d.ts").Question} question
   * @param {CallOptions} [options]
   * @returns {Promise<Request>}
   */
  ask(question, { signal } = {}) {
    const body = { ...question, request_id: question.request_id ?? newId() };
    return persist(() => this.#line.call("/requests", { method: "POST", body, signal }), { tries: TRIES, signal });
  }

  /**
   * @param {string} id
   * @param {CallOptions & { wait?: number }} [options]
   * @returns {Promise<Request>}
   */
  async get(id, { wait, signal } = {}) {
    return this.#line.call(address(id), { wait, signal });
  }

  /**
   * @param {string} id
   * @param {CallOptions} [options]
   * @returns {Promise<Request>}
   */
  async settled(id, { signal } = {}) {
    const pauses = new Pauses();
    for (;;) {
      const began = performance.now();
      const request = await persist(() => this.get(id, { wait: WAIT, signal }), { signal });
      if (request.status !== "pending") return request;
      if (performance.now() - began > HELD) pauses.reset();
      else await sleep(pauses.next(), signal); // someone on the way does not hold the call
    }
  }

  /** @param {import("../index.d.ts").ListOptions} [options] */
  list({ status, executionId, order, q, limit, signal } = {}) {
    const query = { status: status && [status].flat().join(), execution_id: executionId, order, q, limit };
    return new Listing((after) => this.#line.call("/requests", { query: { ...query, after }, signal }));
  }

  /**
   * @param {string} id
   * @param {import("../index.d.ts").Submission} submission
   * @param {CallOptions} [options]
   * @returns {Promise<Request>}
   */
  answer(id, submission, { signal } = {}) {
    const body = { ...submission, answer_id: submission.answer_id ?? newId() };
    const call = () => this.#line.call(`${address(id)}/answer`, { method: "POST", body, signal });
    return persist(call, { tries: TRIES, signal });
  }

  /**
   * @param {string} id
   * @param {string} [reason]
   * @param {CallOptions} [options]
   * @returns {Promise<Request>}
   */
  async cancel(id, reason, { signal } = {}) {
    return this.#line.call(`${address(id)}/cancel`, { method: "POST", body: { reason }, signal });
  }

  /** @param {import("../index.d.ts").FollowOptions} [options] */
  follow(options = {}) {
    return new Follower(this.#line, options);
  }
}

/** @param {string} id */
function address(id) {
  if (id === "." || id === "..") throw new NotFound("that can be no request's id", { code: "not-found", status: 404 });
  return `/requests/${encodeURIComponent(id)}`; // an address would fold those two away, and mean another thing
}
