/** A stream of events that goes on whatever breaks: over SSE, or by held polls where SSE does not get through. */

import { misconfigured, objects, parsed } from "./errors.js";
import { SILENCE } from "./line.js";
import { Pauses, sleep } from "./pauses.js";
import { pieceOf } from "./reading.js";
import { SSEDecoder } from "./sse_decoder.js";
import { Watch } from "./watch.js";

/**
 * @typedef {import("../index.d.ts").Message} Message
 * @typedef {import("./line.js").Line} Line
 * @typedef {AsyncGenerator<Message, undefined, undefined>} Messages
 */

/** Milliseconds, but for `wait`, which is in seconds. */
export const TIMES = {
  /** Without a byte, not even a comment, for so long a stream counts as broken. */
  silence: SILENCE,
  /** How long the server holds a poll. */
  wait: 25,
  /** From here on a connection was held, so that its end is no reason for longer pauses. */
  held: 1000,
  /** How long to poll before SSE is tried again: what kept it from getting through may be gone. */
  polling: 300_000,
};

const FAILURES = 2;
/** So many streams in a row without a byte mean that SSE does not get through. */
const OPEN = 100;
/** How many open requests a reset tells, as the server's own do. */

/** @implements {AsyncIterableIterator<Message>} */
export class Follower {
  /** @type {string | null | undefined} */
  cursor;
  #line;
  #executionId;
  #times;
  #outer;
  #stop = new AbortController();
  #abort = () => this.#stop.abort();
  #messages;
  #pauses = new Pauses();
  #failures = 0;
  #pollsUntil = -Infinity;
  /** Whether this try brought something; it lets the pauses start anew. */
  #came = false;
  /** @type {boolean | undefined} */
  #isOpen;
  #onState;
  /** Whether any try was answered as a sayso server does; then other answers will pass. */
  #known = false;

  /**
   * @param {Line} line
   * @param {import("../index.d.ts").FollowOptions} options
   * @param {typeof TIMES} [times]
   */
  constructor(line, { executionId, after, signal, onState = () => {} }, times = TIMES) {
    this.#line = line;
    this.#executionId = executionId;
    this.cursor = after;
    this.#onState = onState;
    this.#times = times;
    this.#outer = signal;
    signal?.addEventListener("abort", this.#abort);
    if (signal?.aborted) this.#abort();
    this.#messages = this.#run();
  }

  next() {
    return this.#stopped ? this.return() : this.#messages.next();
  }

  async return() {
    this.#end(); // first, since a generator that waits for the network hears nothing else
    return this.#messages.return(undefined);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  get #stopped() {
    return this.#stop.signal.aborted;
  }

  #end() {
    this.#outer?.removeEventListener("abort", this.#abort);
    this.#stop.abort();
  }

  /** @returns {Messages} */
  async *#run() {
    while (!this.#stopped) {
      const polls = performance.now() < this.#pollsUntil;
      const isStream = !polls && !this.#isBeginning;
      let wish = 0;
      let breaks = isStream;
      this.#came = false;
      try {
        yield* isStream ? this.#streamed() : this.#polled(this.#isBeginning ? 0 : this.#times.wait);
      } catch (/** @type {any} */ error) {
        if (this.#stopped) return;
        if (!this.#passes(error)) {
          this.#end();
          throw error;
        }
        wish = error.retryAfter;
        breaks = true;
        if (polls) this.#pollsUntil = -Infinity; // polls fare no better
      }
      if (breaks && !this.#stopped) this.#state(false);
      if (this.#came) this.#pauses.reset();
      if (this.#came && !breaks) continue; // the server held the call, or has more
      await sleep(wish + this.#pauses.next(), this.#stop.signal).catch(() => {});
    }
  }

  /** @param {boolean} isOpen */
  #state(isOpen) {
    if (this.#isOpen === isOpen) return;
    this.#isOpen = isOpen;
    this.#onState(isOpen ? "open" : "broken");
  }

  /** @param {any} error */
  #passes(error) {
    return error.retry || (this.#known && error.code === "misconfigured");
  }

  /**
   * Without a cursor the stream of all executions shows what is open when it begins: tried again, it would hide what
   * was asked and settled in between. So a poll gives a cursor first.
   */
  get #isBeginning() {
    return this.#executionId === undefined && !this.cursor;
  }

  /** @returns {Messages} */
  async *#streamed() {
    const began = performance.now();
    const watch = new Watch(this.#times.silence, this.#stop.signal);
    const headers = { Accept: "text/event-stream", ...(this.cursor && { "Last-Event-ID": this.cursor }) };
    this.#failures += 1;
    try {
      watch.start();
      const response = await this.#line.open(this.#path("/events", this.#executionId), watch, { headers });
      if (!response.body || !/^text\/event-stream\b/i.test(response.headers.get("Content-Type") ?? "")) {
        this.#failures = FAILURES;
        return;
      }
      const reader = response.body.getReader();
      const decoder = new SSEDecoder(this.cursor ?? "");
      for (;;) {
        watch.start();
        const { done, value } = await pieceOf(reader, watch.signal).catch((error) => Promise.reject(watch.cause(error)));
        watch.rest(); // the consumer may take its time
        if (done) return;
        this.#failures = 0;
        this.#known = true;
        this.#state(true);
        this.#came ||= performance.now() - began > this.#times.held;
        yield* this.#told(decoder.decode(value).map(({ id, data }) => ({ event_id: id, ...parsed(data) })));
      }
    } finally {
      watch.end();
      if (this.#failures >= FAILURES) {
        this.#failures = FAILURES - 1; // one more decides, the next time
        this.#pollsUntil = performance.now() + this.#times.polling;
      }
    }
  }

  /**
   * @param {number} wait
   * @returns {Messages}
   */
  async *#polled(wait) {
    const page = await this.#poll(this.#executionId, wait, this.cursor);
    if (page.reset) {
      yield* this.#told([await this.#reset(page.reset.reason)]);
      return;
    }
    const [events, before] = [objects(page.events), this.cursor];
    yield* this.#told(events);
    if (page.cursor) this.cursor = cursorOf(page.cursor);
    this.#came ||= (page.more || !wait) && this.cursor !== before; // a page that leads no further is not asked for at once
  }

  /**
   * A poll tells a reset in other words than a stream; this says it as a stream does.
   *
   * @param {string} reason
   * @returns {Promise<Message>}
   */
  async #reset(reason) {
    const open = await this.#get("/requests", { status: "pending", execution_id: this.#executionId, limit: OPEN });
    const [requests, more] = [objects(open.requests), open.next !== null];
    return /** @type {Message} */ ({ type: "reset", reason, event_id: open.cursor, requests, more });
  }

  /**
   * @param {Message[]} messages
   * @returns {Messages}
   */
  async *#told(messages) {
    for (const message of messages) {
      this.cursor = cursorOf(message.event_id);
      this.#came ||= message.type !== "reset";
      yield message;
    }
  }

  /**
   * @param {string | undefined} executionId
   * @param {number} wait
   * @param {string | null} [cursor]
   */
  async #poll(executionId, wait, cursor) {
    const began = performance.now();
    const page = await this.#get(this.#path("/poll", executionId), { last_event_id: cursor }, wait);
    this.#known = true;
    this.#came ||= performance.now() - began > this.#times.held;
    return page;
  }

  /**
   * @param {string} path
   * @param {import("./line.js").Query} query
   * @param {number} [wait]
   */
  async #get(path, query, wait) {
    const reply = await this.#line.call(path, { query, wait, signal: this.#stop.signal });
    this.#state(true);
    return reply;
  }

  /**
   * @param {string} transport
   * @param {string | undefined} executionId
   */
  #path(transport, executionId) {
    return `${transport}/human-input${executionId === undefined ? "" : `/${encodeURIComponent(executionId)}`}`;
  }
}

/**
 * What an event is called: it goes into a header, where not every text can stand.
 *
 * @param {unknown} id
 */
function cursorOf(id) {
  if (id === null || (typeof id === "string" && /^[\x21-\x7e]*$/.test(id))) return id;
  throw misconfigured("an event that has no id");
}
