/** Reads the body of a reply, as long as it comes to an end. */

import { misconfigured } from "./errors.js";

export const LONGEST = 16 * 1024 * 1024;
/** Bytes of a reply, or characters of an event: several times what a server gives at once. */

/**
 * The next piece of a body. Rejects with the signal's reason when that aborts, also where the platform's own fetch then
 * forgets to (undici does, over a body that says it is compressed and is not).
 *
 * @param {ReadableStreamDefaultReader<Uint8Array>} reader
 * @param {AbortSignal} signal
 * @returns {Promise<ReadableStreamReadResult<Uint8Array>>}
 */
export function pieceOf(reader, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    reader.read().then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/**
 * The text of a reply. Throws a SaysoError where it is longer than any of a sayso server.
 *
 * @param {Response} response
 * @param {AbortSignal} signal
 */
export async function textOf(response, signal) {
  if (!response.body) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for (;;) {
    const { done, value } = await pieceOf(reader, signal);
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > LONGEST) throw misconfigured("more than it can have to say", response.status);
    text += decoder.decode(value, { stream: true });
  }
}
