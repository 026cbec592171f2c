/** One question, whole: who asks, what, what was there before, and the place to answer. */

import { useState } from "preact/hooks";
import { agentOf, ago, exactly, span, taskOf, titleOf } from "../words.js";
import { Composer } from "./composer.jsx";
import { Changes } from "./changes.jsx";
import { Ending } from "./ending.jsx";
import { Icon, Priority } from "./icon.jsx";
import { LinkState } from "./link_state.jsx";
import { Json } from "./json.jsx";
import { Prose } from "./prose.jsx";
import { Rounds, roundsBefore } from "./rounds.jsx";
import { Left } from "./row.jsx";
import { Text } from "./text.jsx";

/**
 * @typedef {import("../types.d.ts").Request} Request
 * @typedef {import("../types.d.ts").State} State
 * @typedef {import("../inbox.js").Inbox} Inbox
 */

/** @param {{ inbox: Inbox, state: State, request: Request, isHeld: boolean }} props */
export function Detail({ inbox, state, request, isHeld }) {
  const rounds = roundsBefore(request, state.requests);
  return (
    <article class="detail" aria-labelledby="title">
      <Head inbox={inbox} state={state} request={request} />
      <div class="body" key={request.request_id} data-focus="detail" tabIndex={-1}>
        <section class="said" aria-label={`From ${agentOf(request)}`}>
          <h3 class="who">
            {agentOf(request)}
            {taskOf(request) && <span class="task-name"> · {taskOf(request)}</span>}
          </h3>
          <Prose text={request.prompt} />
        </section>
        {request.action && <Call action={request.action} />}
        {request.context && <Draft request={request} before={rounds[0]} />}
        {rounds.length > 0 && <Rounds rounds={rounds} now={state.now} />}
        <About request={request} now={state.now} />
      </div>
      {request.status === "pending" ? !isHeld && <Composer inbox={inbox} request={request} draft={inbox.draft(request)} count={1} /> : <Ending request={request} now={state.now} draft={state.drafts.get(request.request_id)} />}
      {isHeld && (
        <section class="composer" aria-label="Your answer">
          <p class="quiet">Your answer is about to be sent. <button type="button" class="plain" onClick={() => inbox.undo()}>Undo <kbd>U</kbd></button></p>
        </section>
      )}
    </article>
  );
}

/** @param {{ inbox: Inbox, state: State, request: Request }} props */
function Head({ inbox, state, request }) {
  const filter = (/** @type {string} */ text) => inbox.search(text);
  const isOpen = request.status === "pending";
  return (
    <header class="head">
      <div class="head-line">
        <button type="button" class="tool back" onClick={() => inbox.close()} aria-label="Back to the list">
          <Icon name="back" />
        </button>
        <h2 id="title">{titleOf(request)}</h2>
        <span class="narrow">
          <LinkState inbox={inbox} link={state.link} />
        </span>
        <div class="tools">
          <button type="button" class="tool" onClick={() => inbox.copyLink(request)} aria-label="Copy the link" title="Copy the link (L)">
            <Icon name="link" />
          </button>
          <button type="button" class="tool" onClick={() => inbox.copyCurl(request)} aria-label="Copy as curl" title="Copy as curl (C)">
            <Icon name="terminal" />
          </button>
        </div>
      </div>
      <div class="facts">
        {isOpen && (
          <span class="fact">
            <Priority priority={request.priority} /> {request.priority}
          </span>
        )}
        <span class="fact">{request.kind}</span>
        {request.round > 1 && <span class="fact">round {request.round}</span>}
        <span class="fact" title={exactly(request.created_at)}>
          {isOpen ? `waits ${span(state.now - Date.parse(request.created_at))}` : `asked ${ago(request.created_at, state.now)} ago`.replace("now ago", "just now")}
        </span>
        {isOpen && request.deadline && <Left deadline={request.deadline} now={state.now} />}
        {request.reason_flags["ambiguity"] && <span class="fact warn">ambiguous</span>}
        {request.reason_flags["missing_field"] && <span class="fact warn">a field is missing</span>}
        <button type="button" class="fact run" onClick={() => filter(`run:${request.execution_id}`)} title="Only this execution">
          {request.execution_id}
        </button>
      </div>
    </header>
  );
}

/** @param {{ action: NonNullable<Request["action"]> }} props */
function Call({ action }) {
  return (
    <section class="card" aria-label="The call it wants to make">
      <header class="card-head">
        <h3>
          <Icon name="play" /> <code><Text>{action.name}</Text></code>
        </h3>
        <span class="quiet">runs if you approve</span>
      </header>
      <Json value={action.args} label="Arguments" />
    </section>
  );
}

const VIEWS = /** @type {const} */ ({ read: "Read", source: "Source", changes: "Changes" });

/** @param {{ request: Request, before: Request | undefined }} props */
function Draft({ request, before }) {
  const former = before?.context ?? "";
  const [chosen, setView] = useState(/** @type {keyof typeof VIEWS | null} */ (null));
  const view = chosen ?? (former ? "changes" : "read");
  const json = jsonOf(request.context);
  const offered = /** @type {(keyof typeof VIEWS)[]} */ (["read", "source", ...(former ? ["changes"] : [])]);
  const name = request.kind === "review" ? "Draft" : "Context";
  const after = request.round > 1 ? ` since round ${request.round - 1}` : "";
  return (
    <section class="card" aria-label={name}>
      <header class="card-head">
        <h3>{name}</h3>
        <div class="views" role="group" aria-label="Show as">
          {offered.map((one) => (
            <button key={one} type="button" aria-pressed={view === one} onClick={() => setView(one)}>
              {VIEWS[one]}
            </button>
          ))}
        </div>
      </header>
      {view === "read" && (json === undefined ? <Prose text={request.context} /> : <Json value={json} label={name} />)}
      {view === "source" && (
        <pre class="plain" tabIndex={0} aria-label={`${name} as it is written`}>
          <Text>{request.context}</Text>
        </pre>
      )}
      {view === "changes" && <Changes before={former} after={request.context} label={`What changed${after}`} />}
    </section>
  );
}

/** @param {{ request: Request, now: number }} props */
function About({ request, now }) {
  const { agent, task, ...data } = request.context_data ?? {};
  const more = { ...(Object.keys(data).length && { context_data: data }), ...(Object.keys(request.metadata).length && { metadata: request.metadata }), ...(Object.keys(request.source.native).length && { native: request.source.native }) };
  const rows = [
    ["Asked", `${exactly(request.created_at)} (${ago(request.created_at, now)})`],
    ["Deadline", request.deadline ? `${exactly(request.deadline)}, then ${request.on_timeout}` : "none; it waits for ever"],
    ["Execution", request.execution_id],
    ["Request", request.request_id],
    ["From", request.source.name],
    ...(request.assignees.length ? [["For", request.assignees.join(", ")]] : []),
    ...(request.action ? [["Digest", request.action.digest]] : []),
  ];
  return (
    <details class="about-it">
      <summary>Details</summary>
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <Text>{value ?? ""}</Text>
            </dd>
          </div>
        ))}
      </dl>
      {Object.keys(more).length > 0 && <Json value={more} label="More that came with it" />}
    </details>
  );
}

/** @param {string} text @returns {unknown} undefined when it is no JSON, or no more than a word or number */
function jsonOf(text) {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
