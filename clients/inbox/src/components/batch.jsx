/** Several questions at once, where they take the same answers. */

import { open } from "../lists.js";
import { haveOneShape } from "../shape.js";
import { agentOf, counted, titleOf } from "../words.js";
import { LinkState } from "./link_state.jsx";
import { Composer } from "./composer.jsx";

const SHOWN = 50;

/** @param {{ inbox: import("../inbox.js").Inbox, state: import("../types.d.ts").State }} props */
export function Batch({ inbox, state }) {
  const requests = open(state).filter((request) => state.picked.has(request.request_id));
  const [first] = requests;
  if (!first) return null;
  const isOne = haveOneShape(requests);
  return (
    <article class="detail" aria-labelledby="title">
      <header class="head">
        <div class="head-line">
          <h2 id="title">{counted(requests.length, "question")} selected</h2>
          <span class="narrow">
            <LinkState inbox={inbox} link={state.link} />
          </span>
        </div>
        <p class="quiet">{isOne ? "They take the same answers: one answer goes to each." : "They take different answers. Select only questions of one kind, with the same options, form or call, to answer them at once."}</p>
      </header>
      <div class="body" data-focus="detail" tabIndex={-1}>
        <ul class="batch">
          {requests.slice(0, SHOWN).map((request) => (
            <li key={request.request_id}>
              <span>{titleOf(request)}</span>
              <span class="quiet">{`${agentOf(request)} · ${request.kind}`}</span>
              <button type="button" class="plain" onClick={() => inbox.pick(request.request_id)} aria-label={`Leave out ${titleOf(request)}`}>
                Leave out
              </button>
            </li>
          ))}
          {requests.length > SHOWN && <li class="quiet">and {counted(requests.length - SHOWN, "other")}</li>}
        </ul>
      </div>
      {isOne && <Composer inbox={inbox} request={first} draft={inbox.draft(first)} count={requests.length} />}
    </article>
  );
}
