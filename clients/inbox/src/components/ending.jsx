/** How a question was settled: who, by which channel, when, and what they said. */

import { editable } from "../answers.js";
import { ago, channelOf, endingOf, exactly, personOf, saidOf } from "../words.js";
import { Changes } from "./changes.jsx";
import { Json } from "./json.jsx";
import { Text } from "./text.jsx";

/** @typedef {import("../types.d.ts").Request} Request */

/** @param {{ request: Request, now: number, draft: import("../types.d.ts").Draft | undefined }} props */
export function Ending({ request, now, draft }) {
  const isGood = request.status === "answered" && request.answer?.decision !== "reject";
  const written = draft && (draft.text || draft.reason || (draft.edited !== undefined && draft.edited !== editable(request) && draft.edited));
  return (
    <section class="composer ending" aria-label="The answer">
      <p class="ending-line">
        <strong class={isGood ? "good" : "bad"}>{headline(request)}</strong>
        <span class="quiet" title={request.settled_at ? exactly(request.settled_at) : ""}>
          {[request.settled_channel === "system" ? "" : personOf(request.settled_by), channelOf(request.settled_channel), request.settled_at && ago(request.settled_at, now)].filter(Boolean).join(" · ")}
        </span>
      </p>
      <Said request={request} />
      {written && (
        <details class="preview">
          <summary>What you had written</summary>
          <pre class="plain" tabIndex={0} aria-label="What you had written">
            <Text>{written}</Text>
          </pre>
        </details>
      )}
    </section>
  );
}

/** @param {{ request: Request }} props */
function Said({ request }) {
  const { answer } = request;
  if (answer?.edited != null) {
    const after = typeof answer.edited === "string" ? answer.edited : JSON.stringify(answer.edited, null, 2);
    return <Changes before={editable(request)} after={after} label="What the edit changed" isCode={request.action !== null} />;
  }
  if (answer?.values != null) return <Json value={answer.values} label="The values" />;
  const said = saidOf(request);
  return said && request.status === "answered" ? (
    <blockquote class="answer">
      <Text>{said}</Text>
    </blockquote>
  ) : null;
}

/** @param {Request} request */
function headline(request) {
  if (request.status === "expired") return `Ran out of time${request.answer ? `; ${request.answer.decision} by default` : ""}`;
  if (request.status === "cancelled") return `Given up${request.reason && request.reason !== "cancelled" ? `: ${request.reason}` : ""}`;
  const word = endingOf(request);
  return word.charAt(0).toUpperCase() + word.slice(1);
}
