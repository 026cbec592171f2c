/** Passing words: what was done and can be taken back, and what went wrong. */

import { Icon } from "./icon.jsx";

/** @param {{ inbox: import("../inbox.js").Inbox, state: import("../types.d.ts").State }} props */
export function Notes({ inbox, state }) {
  return (
    <div class="notes" role="region" aria-label="Messages">
      <div role="status">{state.notes.filter((note) => note.tone !== "bad").map((note) => <One key={note.id} inbox={inbox} note={note} now={state.now} />)}</div>
      <div role="alert">{state.notes.filter((note) => note.tone === "bad").map((note) => <One key={note.id} inbox={inbox} note={note} now={state.now} />)}</div>
    </div>
  );
}

/** @param {{ inbox: import("../inbox.js").Inbox, note: import("../types.d.ts").Note, now: number }} props */
function One({ inbox, note, now }) {
  const { heldId, requestId } = note;
  return (
    <div class={`note ${note.tone}`}>
      <div class="note-words">
        <p class="note-title">{note.title}</p>
        {note.detail && <p class="note-detail">{note.detail}</p>}
      </div>
      {heldId && (
        <button type="button" class="plain" onClick={() => inbox.undo(heldId)}>
          Undo <kbd>U</kbd>
        </button>
      )}
      {requestId && (
        <button type="button" class="plain" onClick={() => { inbox.open(requestId); inbox.dismiss(note.id); }}>
          Show
        </button>
      )}
      {!heldId && (
        <button type="button" class="tool" aria-label="Put away" onClick={() => inbox.dismiss(note.id)}>
          <Icon name="close" />
        </button>
      )}
      {heldId && <span class="countdown" aria-hidden="true" />}
    </div>
  );
}
