/** In which order a list is read. Pure. */

/** @typedef {import("./types.d.ts").Request} Request */

const RANK = { urgent: 0, high: 1, normal: 2, low: 3 };

/**
 * The most urgent first: by priority, then what runs out soonest, then the oldest.
 *
 * @param {Request} a
 * @param {Request} b
 */
export function byUrgency(a, b) {
  return RANK[a.priority] - RANK[b.priority] || time(a.deadline) - time(b.deadline) || byAge(a, b);
}

/** The oldest first. @param {Request} a @param {Request} b */
export function byAge(a, b) {
  return compare(a.created_at, b.created_at) || compare(a.request_id, b.request_id);
}

/** @type {Record<import("./types.d.ts").Order, (a: Request, b: Request) => number>} */
export const ORDERS = { urgent: byUrgency, oldest: byAge, newest: (a, b) => byAge(b, a) };

/** @param {string | null} moment */
const time = (moment) => (moment === null ? Number.MAX_SAFE_INTEGER : Date.parse(moment));

/** @param {string} a @param {string} b */
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
