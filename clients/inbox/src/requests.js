/** The requests that are known here, kept up to date by events that may come twice or late. Pure. */

/** @typedef {import("./types.d.ts").Request} Request */
/** @typedef {ReadonlyMap<string, Request>} Requests */

/**
 * With what was asked. What is settled stays settled: an event may be older than what is known.
 *
 * @param {Requests} requests
 * @param {import("./types.d.ts").HumanInputRequired} event
 * @returns {Requests}
 */
export function withAsked(requests, event) {
  if (requests.has(event.request_id)) return requests;
  const { type, event_id, seq, timestamp, ...asked } = event;
  return new Map(requests).set(event.request_id, { ...UNSETTLED, ...asked, created_at: timestamp, asked_event_id: event_id });
}

/**
 * With what was settled; `requests` themselves when it is not known here.
 *
 * @param {Requests} requests
 * @param {import("./types.d.ts").HumanInputCompleted} event
 * @returns {Requests}
 */
export function withSettled(requests, event) {
  const request = requests.get(event.request_id);
  if (!request || request.status !== "pending") return requests;
  return new Map(requests).set(event.request_id, {
    ...request,
    status: event.status,
    answer: event.decision && {
      answer_id: "",
      decision: event.decision,
      text: event.values === null && event.edited === null && !event.option_ids.length ? event.human_feedback || null : null,
      option_ids: event.option_ids,
      values: event.values,
      edited: event.edited,
      comment: event.comment,
    },
    reason: event.reason,
    settled_at: event.timestamp,
    settled_by: event.by,
    settled_channel: event.channel,
    settled_event_id: event.event_id,
  });
}

/**
 * With requests as the server lists them, which know more than events.
 *
 * @param {Requests} requests
 * @param {readonly Request[]} listed
 * @returns {Requests}
 */
export function withListed(requests, listed) {
  const all = new Map(requests);
  for (const request of listed) {
    if (request.status === "pending" && all.get(request.request_id)?.status !== undefined && all.get(request.request_id)?.status !== "pending") continue;
    all.set(request.request_id, request);
  }
  return all;
}

/**
 * After a list of all that is open, made at one moment: what was open and is not in it was settled meanwhile.
 *
 * @param {Requests} requests
 * @param {readonly Request[]} open
 * @returns {Requests}
 */
export function withOpen(requests, open) {
  const listed = new Map(open.map((request) => [request.request_id, request]));
  const kept = [...requests].filter(([id, request]) => request.status !== "pending" || listed.has(id));
  return withListed(new Map(kept), open);
}

const UNSETTLED = {
  status: /** @type {const} */ ("pending"),
  asked_by: "",
  durable: true,
  digest: "",
  answer: null,
  reason: "",
  settled_at: null,
  settled_by: null,
  settled_channel: null,
  settled_event_id: null,
};
