/** A fetch that plays a script, for what no real server does on demand. */

const encoder = new TextEncoder();

export const json = (body, status = 200, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });

export const problem = (code, status, members = {}, headers = {}) =>
  json({ type: `urn:sayso:problem:${code}`, title: "t", status, detail: "d", ...members }, status, headers);

/** A stream of these texts; then it ends, or stays open and silent. */
export const stream = (texts, { ends = false, type = "text/event-stream; charset=utf-8", signal } = {}) => {
  const body = new ReadableStream({
    start(controller) {
      for (const text of texts) controller.enqueue(encoder.encode(text));
      if (ends) controller.close();
      signal?.addEventListener("abort", () => ends || controller.error(signal.reason));
    },
  });
  return new Response(body, { headers: { "Content-Type": type } });
};

export const event = (id, type = "human_input_required") => ({ type, event_id: id, request_id: `r-${id}` });
export const block = (id) => `id: ${id}\ndata: ${JSON.stringify(event(id))}\n\n`;

/** Replies in turn, the last one for ever; `calls` has what was asked for. A reply is made by a function, or thrown. */
export function script(...replies) {
  const calls = [];
  const fetch = async (url, init) => {
    const { pathname, searchParams } = new URL(url);
    calls.push({ path: pathname, query: searchParams, at: performance.now(), ...init, body: init.body && JSON.parse(init.body) });
    init.signal.throwIfAborted();
    const reply = replies[Math.min(calls.length, replies.length) - 1](init);
    if (reply instanceof Error) throw reply;
    return reply;
  };
  return { fetch, calls };
}

export const lost = () => new TypeError("fetch failed");
/** No reply until the caller gives up. */
export const never = ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

/** The next `count` of an iterator, which stays open. */
export async function take(iterator, count) {
  const taken = [];
  while (taken.length < count) {
    const { done, value } = await iterator.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}
