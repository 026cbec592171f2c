/** Asks for the key. It goes to the server once and is kept nowhere in the page. */

import { useState } from "preact/hooks";

/** @param {{ inbox: import("../inbox.js").Inbox, state: import("../types.d.ts").State }} props */
export function SignIn({ inbox, state }) {
  const [key, setKey] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    await inbox.signIn(key);
    setBusy(false);
    setKey("");
  };
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <Mark />
        <h1>Sign in to the inbox</h1>
        <p class="quiet" id="key-help">
          With the server's key: the one in <code>api_key</code> or <code>SAYSO_API_KEY</code>.
        </p>
        <label for="key">Key</label>
        <input
          id="key"
          type="password"
          autocomplete="current-password"
          autofocus
          required
          value={key}
          aria-invalid={state.sessionFault ? true : undefined}
          aria-describedby="key-help key-fault"
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <div class="faults" id="key-fault" role="alert">
          {state.sessionFault && <p>{state.sessionFault}</p>}
        </div>
        <button type="submit" class="primary" disabled={isBusy}>
          Sign in
        </button>
      </form>
    </main>
  );
}

/** The sign of the page. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" />
      <path d="M9 12.5A3.5 3.5 0 0 1 12.5 9h7a3.5 3.5 0 0 1 3.5 3.500v4a3.5 3.5 0 0 1-3.5 3.500H16l-4.5 4v-4A2.5 2.5 0 0 1 9 17.500Z" />
      <path class="tick" d="m13 14.7 2.2 2.2 4-4.4" />
    </svg>
  );
}
