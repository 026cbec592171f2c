/** One question in the list. */

import { ago, agentOf, channelOf, endingOf, personOf, span, taskOf, titleOf } from "../words.js";
import { linkTo } from "../inbox.js";
import { Icon, Priority } from "./icon.jsx";

const SOON = 300_000;
/** Milliseconds before a deadline from which on it is shown as near. */

/** @param {{ inbox: import("../inbox.js").Inbox, request: import("../types.d.ts").Request, now: number, isSelected: boolean, isFocusable: boolean, isPicked: boolean }} props */
export function Row({ inbox, request, now, isSelected, isFocusable, isPicked }) {
  const id = request.request_id;
  const isOpen = request.status === "pending";
  const open = (/** @type {MouseEvent} */ event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    inbox.open(id);
  };
  return (
    <div class={`row ${isSelected ? "selected" : ""} ${isPicked ? "picked" : ""}`}>
      <a href={linkTo(inbox.base, request)} aria-current={isSelected ? "true" : undefined} data-row={id} tabIndex={isFocusable ? 0 : -1} onClick={open}>
        <span class="lead">{isOpen ? <Priority priority={request.priority} /> : <Outcome request={request} />}</span>
        <span class="title">{titleOf(request)}</span>
        <span class="time" title={`Asked ${request.created_at}`}>
          {ago(request.created_at, now)}
        </span>
        <span class="about" title={[agentOf(request), taskOf(request), request.execution_id].filter(Boolean).join(" · ")}>
          <span class="agent-name">{agentOf(request)}</span>
          {isOpen ? <span class="kind">{request.kind}</span> : <span class="kind">{[endingOf(request), personOf(request.settled_by), channelOf(request.settled_channel)].filter(Boolean).join(" · ")}</span>}
          {request.round > 1 && <span class="kind">round {request.round}</span>}
          {isOpen && <span class="run-name">{request.execution_id}</span>}
        </span>
        {isOpen && request.deadline && <Left deadline={request.deadline} now={now} />}
      </a>
      {isOpen && (
        <label class="pick">
          <input type="checkbox" tabIndex={-1} checked={isPicked} onChange={() => inbox.pick(id)} aria-label={`Select ${titleOf(request)}`} />
        </label>
      )}
    </div>
  );
}

/** @param {{ deadline: string, now: number }} props */
export function Left({ deadline, now }) {
  const left = Date.parse(deadline) - now;
  const tone = left < 0 ? "over" : left < SOON ? "near" : "";
  return (
    <span class={`left ${tone}`}>
      <Icon name="clock" />
      {left < 0 ? "time is up" : `${span(left)} left`}
    </span>
  );
}

/** @param {{ request: import("../types.d.ts").Request }} props */
function Outcome({ request }) {
  const bad = request.status !== "answered" || request.answer?.decision === "reject";
  return (
    <span class={`outcome ${bad ? "bad" : "good"}`}>
      <Icon name={bad ? "close" : "check"} />
    </span>
  );
}
