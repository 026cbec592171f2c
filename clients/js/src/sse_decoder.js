/** Server-Sent Events from bytes (WHATWG HTML, 9.2.6). Pure; `retry:` is passed over, since our pauses are our own. */

import { misconfigured } from "./errors.js";
import { LONGEST } from "./reading.js";

/** Takes the bytes of one stream as they come, cut anywhere, and gives its events. */
export class SSEDecoder {
  #text = new TextDecoder(); // joins characters that chunks cut, and drops the byte order mark
  #rest = "";
  #size = 0;
  /** Characters of what is held of an event: its lines, and the last, unfinished one. */
  #afterReturn = false;
  /** @type {string[]} */
  #data = [];
  #event = "";
  #id;

  /** @param {string} [id] the last event id of the stream that this one goes on from */
  constructor(id = "") {
    this.#id = id;
  }

  /**
   * The events that this chunk completes; `id` is the last one that the stream has named so far.
   *
   * @param {Uint8Array} chunk
   * @returns {{ id: string, event: string, data: string }[]}
   */
  decode(chunk) {
    let text = this.#text.decode(chunk, { stream: true });
    if (!text) return [];
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1); // the other half of a CR LF
    this.#afterReturn = text.endsWith("\r");
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop() ?? "";
    const events = lines.flatMap((line) => this.#line(line));
    if (this.#size + this.#rest.length > LONGEST) throw misconfigured("an event that has no end");
    return events;
  }

  /** @param {string} line */
  #line(line) {
    if (!line) return this.#dispatch();
    const [, field, value] = /** @type {RegExpExecArray} */ (/^([^:]*)(?:: ?)?(.*)$/s.exec(line));
    if (field === "data") {
      this.#data.push(/** @type {string} */ (value));
      this.#size += line.length;
    } else if (field === "event") this.#event = /** @type {string} */ (value);
    else if (field === "id" && !value?.includes("\0")) this.#id = /** @type {string} */ (value);
    return [];
  }

  #dispatch() {
    const events = this.#data.length ? [{ id: this.#id, event: this.#event || "message", data: this.#data.join("\n") }] : [];
    this.#data = [];
    this.#size = 0;
    this.#event = "";
    return events;
  }
}
