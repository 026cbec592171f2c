/** Where a person answers: the page's own controls, outside of everything that an agent wrote. */

import { editable, editsByForm, fieldsOf, formFor, hasWords } from "../answers.js";
import { MOD } from "../keys.js";
import { Changes } from "./changes.jsx";
import { Faults, SchemaForm } from "./form.jsx";
import { Icon } from "./icon.jsx";
import { Text } from "./text.jsx";

/**
 * @typedef {import("../types.d.ts").Request} Request
 * @typedef {import("../types.d.ts").Draft} Draft
 * @typedef {import("../types.d.ts").Mode} Mode
 * @typedef {{ inbox: import("../inbox.js").Inbox, request: Request, draft: Draft, count: number }} Props
 */

const DECISIONS = /** @type {const} */ ([
  { decision: "approve", name: "Approve", key: "A", icon: "check" },
  { decision: "edit", name: "Edit", key: "E", icon: "edit" },
  { decision: "respond", name: "Respond", key: "R", icon: "reply" },
  { decision: "reject", name: "Reject", key: "X", icon: "close" },
]);

/** @param {Props} props `count`: how many requests the answer goes to */
export function Composer(props) {
  const { inbox, request, draft, count } = props;
  const offered = DECISIONS.filter(({ decision }) => request.allow.includes(decision) && !(decision === "edit" && count > 1));
  const isOnlyResponse = request.allow.length === 1 && request.allow[0] === "respond";
  const Panel = draft.mode && PANELS[draft.mode];
  return (
    <section class={`composer ${draft.mode ? "open" : ""}`} aria-label="Your answer">
      {Panel && <Panel {...props} />}
      {!draft.mode && <Faults id="answer-faults" faults={draft.faults ?? []} />}
      {!isOnlyResponse && (
        <div class="decisions" role="group" aria-label="Decide">
          {offered.map(({ decision, name, key, icon }) => (
            <button
              key={decision}
              type="button"
              class={`decision ${decision}`}
              aria-pressed={decision === "approve" ? undefined : draft.mode === decision}
              aria-keyshortcuts={key.toLowerCase()}
              onClick={() => (decision === "approve" ? inbox.answer("approve") : inbox.begin(draft.mode === decision ? null : decision))}
            >
              <Icon name={icon} />
              <span class="name">{count > 1 ? `${name} ${count}` : name}</span>
              <kbd aria-hidden="true">{key}</kbd>
            </button>
          ))}
        </div>
      )}
    </section>
  );
}

/** @type {Record<Mode, (props: Props) => any>} */
const PANELS = { edit: Edit, respond: Respond, reject: Reject };

/** @param {Props} props */
function Edit({ inbox, request, draft }) {
  const form = editsByForm(request) ? formFor(request) : null;
  const original = editable(request);
  const edited = draft.edited ?? original;
  const isJson = request.action !== null;
  const label = isJson ? `Arguments for ${request.action?.name}` : "Your text instead of the draft";
  return (
    <Writing inbox={inbox} mode="edit" send={isJson ? "Run with these arguments" : "Use this instead"} draft={draft} hidesFaults={form !== null}>
      {form ? (
        <SchemaForm form={form} fields={draft.fields ?? fieldsOf(request)} faults={draft.faults ?? []} write={(fields) => inbox.write(request, { fields })} />
      ) : (
        <>
          <label class="writing-label" for="edited">
            {label}
          </label>
          <textarea
            id="edited"
            data-focus="edit"
            class={isJson ? "code" : ""}
            rows={Math.min(14, Math.max(5, edited.split("\n").length + 1))}
            spellcheck={!isJson}
            aria-describedby="answer-faults"
            value={edited}
            onInput={(event) => inbox.write(request, { edited: event.currentTarget.value })}
          />
          {edited !== original && (
            <details class="preview" open>
              <summary>Changes</summary>
              <Changes before={original} after={edited} label="What your edit changes" isCode={isJson} />
            </details>
          )}
        </>
      )}
    </Writing>
  );
}

/** @param {Props} props */
function Respond({ inbox, request, draft, count }) {
  const form = !hasWords(request) ? formFor(request) : null;
  const words = hasWords(request);
  const isLone = request.options.length > 0 && !words;
  return (
    <Writing inbox={inbox} mode="respond" send={isLone ? "" : count > 1 ? `Send to ${count}` : "Send"} draft={draft} hidesFaults={form !== null}>
      {request.options.length > 0 && <Options inbox={inbox} request={request} draft={draft} />}
      {form && <SchemaForm form={form} fields={draft.fields ?? fieldsOf(request)} faults={draft.faults ?? []} write={(fields) => inbox.write(request, { fields })} />}
      {words && (
        <>
          <label class="writing-label" for="respond">
            {request.kind === "review" || request.kind === "approval" ? "What should change?" : "Your answer"}
          </label>
          <textarea
            id="respond"
            data-focus="respond"
            rows={Math.min(10, Math.max(2, (draft.text ?? "").split("\n").length))}
            aria-describedby="answer-faults"
            value={draft.text ?? ""}
            onInput={(event) => inbox.write(request, { text: event.currentTarget.value })}
          />
        </>
      )}
    </Writing>
  );
}

/** @param {Omit<Props, "count">} props */
function Options({ inbox, request, draft }) {
  return (
    <div class="options" role="group" aria-label="Options">
      {request.options.map((option, number) => (
        <button key={option.id} type="button" class={`option ${option.style} ${draft.option === option.id ? "chosen" : ""}`} onClick={() => inbox.choose(number + 1)}>
          {number < 9 && <kbd aria-hidden="true">{number + 1}</kbd>}
          <span class="option-label">
            <Text>{option.label || option.id}</Text>
          </span>
          {option.description && (
            <span class="option-about">
              <Text>{option.description}</Text>
            </span>
          )}
        </button>
      ))}
    </div>
  );
}

/** @param {Props} props */
function Reject({ inbox, request, draft, count }) {
  return (
    <Writing inbox={inbox} mode="reject" send={count > 1 ? `Reject ${count}` : "Reject"} draft={draft} isDanger>
      <label class="writing-label" for="reason">
        Why? <span class="optional">optional; the agent is told</span>
      </label>
      <textarea id="reason" data-focus="reject" rows={2} aria-describedby="answer-faults" value={draft.reason ?? ""} onInput={(event) => inbox.write(request, { reason: event.currentTarget.value })} />
    </Writing>
  );
}

/** @param {{ inbox: import("../inbox.js").Inbox, mode: Mode, send: string, draft: Draft, isDanger?: boolean, hidesFaults?: boolean, children: any }} props */
function Writing({ inbox, mode, send, draft, isDanger = false, hidesFaults = false, children }) {
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    inbox.answer(mode);
  };
  return (
    <form class="writing" onSubmit={submit} noValidate>
      <div class="writing-body">{children}</div>
      {!hidesFaults && <Faults id="answer-faults" faults={draft.faults ?? []} />}
      {send && (
        <div class="writing-foot">
          <span class="hint">
            <kbd>{MOD}</kbd> <kbd>Enter</kbd> sends
          </span>
          <button type="submit" class={`primary ${isDanger ? "danger" : ""}`}>
            {send}
          </button>
        </div>
      )}
    </form>
  );
}
