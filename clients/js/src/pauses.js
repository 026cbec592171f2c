/** How long to wait before the next try. */

const FIRST = 200;
const LONGEST = 20_000;
/** Milliseconds, at most, before the second try and before late ones. */

const LONGEST_WISH = 3_600_000;
/** A server that wants more than an hour's rest is misread. */

/** Milliseconds between tries: full jitter, growing, so that clients do not all come back at once. */
export class Pauses {
  #longest = FIRST;
  #random;

  /** @param {() => number} [random] from 0 to 1 */
  constructor(random = Math.random) {
    this.#random = random;
  }

  next() {
    const pause = this.#random() * this.#longest;
    this.#longest = Math.min(this.#longest * 2, LONGEST);
    return pause;
  }

  reset() {
    this.#longest = FIRST;
  }
}

/**
 * Milliseconds that a Retry-After header (RFC 9110, 10.2.3: seconds or a date) asks for; 0 when it says nothing.
 *
 * @param {string | null} header
 * @param {number} now as Date.now()
 */
export function wished(header, now) {
  if (!header) return 0;
  const wish = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Math.min(Math.max(wish || 0, 0), LONGEST_WISH);
}

/**
 * Rejects with the signal's reason when that aborts.
 *
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/**
 * What `call` brings, made again after a pause as long as it fails for a reason that passes.
 *
 * @template T
 * @param {() => Promise<T>} call
 * @param {{ tries?: number, signal?: AbortSignal | undefined }} [options]
 * @returns {Promise<T>}
 */
export async function persist(call, { tries = Infinity, signal } = {}) {
  const pauses = new Pauses();
  for (;;) {
    try {
      return await call();
    } catch (/** @type {any} */ error) {
      if (signal?.aborted || !error.retry || --tries < 1) throw error;
      await sleep(error.retryAfter + pauses.next(), signal);
    }
  }
}
