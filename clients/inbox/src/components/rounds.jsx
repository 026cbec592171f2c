/** What earlier rounds of the same question said. */

import { ago, channelOf, endingOf, exactly, personOf, saidOf } from "../words.js";
import { Prose } from "./prose.jsx";
import { Text } from "./text.jsx";

const MOST = 20;

/** @typedef {import("../types.d.ts").Request} Request */

/** The rounds before, the latest first, as far as they are known. @param {Request} request @param {ReadonlyMap<string, Request>} requests */
export function roundsBefore(request, requests) {
  /** @type {Request[]} */
  const found = [];
  let before = request.previous === null ? undefined : requests.get(request.previous);
  while (before && found.length < MOST && !found.includes(before)) {
    found.push(before);
    before = before.previous === null ? undefined : requests.get(before.previous);
  }
  return found;
}

/** @param {{ rounds: readonly Request[], now: number }} props */
export function Rounds({ rounds, now }) {
  return (
    <section class="rounds" aria-label="Earlier rounds">
      <h3>Earlier rounds</h3>
      {rounds.map((round) => (
        <details key={round.request_id} class="round">
          <summary>
            <span class="round-number">Round {round.round}</span>
            <span class="round-said">
              <Text>{saidOf(round).slice(0, 200) || endingOf(round)}</Text>
            </span>
            <span class="quiet" title={round.settled_at ? exactly(round.settled_at) : ""}>
              {[personOf(round.settled_by), channelOf(round.settled_channel), round.settled_at && ago(round.settled_at, now)].filter(Boolean).join(" · ")}
            </span>
          </summary>
          {round.context && <Prose text={round.context} />}
        </details>
      ))}
    </section>
  );
}
