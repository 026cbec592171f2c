/** What the lists show, out of everything that is known. Pure; made anew only when what it depends on has changed. */

import { answering } from "./held.js";
import { fits, parsed } from "./filter.js";
import { byAge, ORDERS } from "./order.js";
import { agentOf } from "./words.js";

/** @typedef {import("./types.d.ts").State} State */
/** @typedef {import("./types.d.ts").Request} Request */

const MINUTE = 60_000;
/** How often "older than" is looked at again. */

/** What waits for an answer, whether the search means it or not. @type {(state: State) => Request[]} */
export const open = memo(
  ({ requests, held }) => [requests, held],
  ({ requests, held }) => [...requests.values()].filter((request) => request.status === "pending" && !answering(held, request.request_id)),
);

/** What waits and is meant by the search, in its order. @type {(state: State) => Request[]} */
export const waiting = memo(
  (state) => [open(state), state.query, state.order, Math.floor(state.now / MINUTE)],
  (state) => {
    const query = parsed(state.query);
    return open(state)
      .filter((request) => fits(request, query, state.now))
      .sort(ORDERS[state.order]);
  },
);

/** What was settled and is meant by the search, the newest first. @type {(state: State) => Request[]} */
export const settled = memo(
  (state) => [state.history, state.requests, state.query, Math.floor(state.now / MINUTE)],
  (state) => {
    const query = parsed(state.query);
    const all = new Map(state.history.requests.map((request) => [request.request_id, request]));
    for (const [id, request] of state.requests) if (request.status !== "pending" && !all.has(id)) all.set(id, request);
    return [...all.values()].filter((request) => fits(request, query, state.now)).sort((a, b) => byAge(b, a));
  },
);

/** The list that is shown. @param {State} state */
export const shown = (state) => (state.view === "waiting" ? waiting(state) : settled(state));

/** What the filters offer: each agent and execution of the list, with how often it is there. @type {(state: State) => { agents: [string, number][], runs: [string, number][] }} */
export const offered = memo(
  (state) => [state.view, state.requests, state.history],
  (state) => {
    const all = state.view === "waiting" ? open(state) : settled({ ...state, query: "" });
    return { agents: tally(all.map(agentOf)), runs: tally(all.map((request) => request.execution_id)) };
  },
);

/** @param {string[]} names @returns {[string, number][]} */
function tally(names) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1)).slice(0, 100);
}

/**
 * @template T
 * @param {(state: State) => unknown[]} parts
 * @param {(state: State) => T} make
 * @returns {(state: State) => T}
 */
function memo(parts, make) {
  /** @type {unknown[]} */
  let former = [];
  /** @type {T | undefined} */
  let made;
  return (state) => {
    const now = parts(state);
    if (made === undefined || now.some((part, number) => part !== former[number])) made = make(state);
    former = now;
    return made;
  };
}
