/** The page: what is shown when, and the keys. */

import { useEffect, useLayoutEffect, useReducer, useRef } from "preact/hooks";
import { answering } from "../held.js";
import { commandOf } from "../keys.js";
import { open } from "../lists.js";
import { routeOf } from "../route.js";
import { Batch } from "./batch.jsx";
import { Detail } from "./detail.jsx";
import { FirstQuestion, Nothing } from "./empty.jsx";
import { Help } from "./help.jsx";
import { Notes } from "./notes.jsx";
import { Side } from "./side.jsx";
import { LinkState } from "./link_state.jsx";
import { SignIn } from "./sign_in.jsx";

/**
 * @typedef {import("../inbox.js").Inbox} Inbox
 * @typedef {import("../types.d.ts").State} State
 */

/** @param {{ inbox: Inbox, isPage: boolean, host: HTMLElement }} props */
export function App({ inbox, isPage, host }) {
  const [, draw] = useReducer((/** @type {number} */ count) => count + 1, 0);
  const wanted = /** @type {{ current: string | null }} */ (useRef(null));
  useLayoutEffect(() => inbox.watch(() => draw(undefined)), [inbox]);
  useLayoutEffect(() => {
    inbox.focus = (what) => {
      wanted.current = what;
      draw(undefined);
    };
  }, [inbox]);
  useLayoutEffect(() => {
    if (wanted.current === null) return;
    focusOn(host, wanted.current, inbox.state.selectedId);
    wanted.current = null;
  });
  useKeys(inbox, isPage ? window : host, host);
  useAddress(inbox, isPage);
  const { state } = inbox;
  if (state.session !== "open") {
    return (
      <div class="app alone">
        {state.session === "needed" ? <SignIn inbox={inbox} state={state} /> : <Waiting inbox={inbox} state={state} />}
      </div>
    );
  }
  return (
    <div class={`app ${state.isReading || state.picked.size ? "reading" : ""}`}>
      <Side inbox={inbox} state={state} />
      <main class="main">
        <Main inbox={inbox} state={state} />
      </main>
      <Notes inbox={inbox} state={state} />
      {state.overlay === "help" && <Help inbox={inbox} state={state} />}
    </div>
  );
}

/** @param {{ inbox: Inbox, state: State }} props */
function Waiting({ inbox, state }) {
  return (
    <main class="sign-in">
      <LinkState inbox={inbox} link={state.link} />
    </main>
  );
}

/** @param {{ inbox: Inbox, state: State }} props */
function Main({ inbox, state }) {
  if (state.picked.size) return <Batch inbox={inbox} state={state} />;
  const id = state.selectedId;
  const request = id === null ? undefined : (state.requests.get(id) ?? state.history.requests.find((one) => one.request_id === id));
  if (request) return <Detail key={request.request_id} inbox={inbox} state={state} request={request} isHeld={answering(state.held, request.request_id) !== undefined} />;
  if (id !== null) return <Nothing title={state.missing.has(id) ? "There is no such question. It may have been removed after it was settled." : "Loading…"} />;
  if (state.isLoaded && state.view === "waiting" && !open(state).length) return <FirstQuestion inbox={inbox} needsKey={state.needsKey} />;
  return (
    <Nothing title="No question is open">
      <p class="quiet">
        <kbd>J</kbd> goes to the next, <kbd>?</kbd> shows all keys
      </p>
    </Nothing>
  );
}

/** @param {HTMLElement} host @param {string} what @param {string | null} selectedId */
function focusOn(host, what, selectedId) {
  const root = host.shadowRoot;
  const row = what === "list" && selectedId !== null ? root?.querySelector(`[data-row="${CSS.escape(selectedId)}"]`) : null;
  const place = row ?? root?.querySelector(`[data-focus="${what}"]`) ?? (what === "respond" || what === "edit" ? root?.querySelector('.form :is(input, select, textarea), .options button') : null);
  /** @type {HTMLElement | null | undefined} */ (place)?.focus({ preventScroll: what === "list" });
}

/** @param {Inbox} inbox @param {boolean} isPage */
function useAddress(inbox, isPage) {
  useEffect(() => {
    if (!isPage) return undefined;
    const arrive = () => inbox.arrive(routeOf(location.hash));
    arrive();
    addEventListener("popstate", arrive);
    return () => removeEventListener("popstate", arrive);
  }, [inbox, isPage]);
}

/** @param {Inbox} inbox @param {EventTarget} place where keys are heard @param {HTMLElement} host */
function useKeys(inbox, place, host) {
  useEffect(() => {
    const press = (/** @type {any} */ event) => {
      const [target] = event.composedPath();
      const isWriting = target.matches?.('textarea, select, [contenteditable], input:not([type="checkbox"], [type="radio"])') ?? false;
      const isOnControl = target.closest?.("a, button, summary, input, select, textarea") != null;
      if (event.defaultPrevented || inbox.state.session !== "open" || inbox.state.overlay === "help") return;
      const meant = commandOf(event, { isWriting, isOnControl, hasKeys: inbox.state.hasKeys });
      if (!meant) return;
      const command = COMMANDS[meant.command];
      if (!command) return;
      event.preventDefault();
      command(inbox, { number: meant.number ?? 0, target, host });
    };
    place.addEventListener("keydown", press);
    return () => place.removeEventListener("keydown", press);
  }, [inbox, place, host]);
}

/** @type {Record<string, (inbox: Inbox, press: { number: number, target: HTMLElement, host: HTMLElement }) => void>} */
const COMMANDS = {
  next: (inbox) => step(inbox, 1),
  previous: (inbox) => step(inbox, -1),
  open(inbox) {
    if (inbox.state.selectedId === null) inbox.move(1);
    if (inbox.state.selectedId !== null) inbox.open(inbox.state.selectedId);
    inbox.focus?.("detail");
  },
  back,
  history: (inbox) => inbox.show(inbox.state.view === "waiting" ? "history" : "waiting"),
  search: (inbox) => {
    inbox.close();
    inbox.focus?.("search");
  },
  approve: (inbox) => inbox.answer("approve"),
  edit: (inbox) => inbox.begin("edit"),
  respond: (inbox) => inbox.begin("respond"),
  reject: (inbox) => inbox.begin("reject"),
  option: (inbox, { number }) => inbox.choose(number),
  undo: (inbox) => inbox.undo(),
  submit(inbox) {
    const [request] = inbox.targets;
    const mode = request && inbox.draft(request).mode;
    if (mode) inbox.answer(mode);
  },
  pick: (inbox) => inbox.state.selectedId !== null && inbox.state.view === "waiting" && inbox.pick(inbox.state.selectedId),
  copyLink: (inbox) => withShown(inbox, (request) => inbox.copyLink(request)),
  copyCurl: (inbox) => withShown(inbox, (request) => inbox.copyCurl(request)),
  help: (inbox) => inbox.overlay("help"),
};

/** @param {Inbox} inbox @param {number} by */
function step(inbox, by) {
  inbox.move(by);
  inbox.focus?.("list");
}

/** Puts away what is uppermost. @param {Inbox} inbox @param {{ target: HTMLElement }} press */
function back(inbox, { target }) {
  const { overlay, picked } = inbox.state;
  const [request] = inbox.targets;
  if (overlay) inbox.overlay(null);
  else if (request && inbox.draft(request).mode && target.closest(".composer")) {
    if (request.allow.length > 1) inbox.begin(null);
    inbox.focus?.("list");
  } else if (picked.size) inbox.unpick();
  else if (target.matches('input[type="search"]') && inbox.state.query) inbox.search("");
  else {
    inbox.close();
    inbox.focus?.("list");
  }
}

/** @param {Inbox} inbox @param {(request: import("../types.d.ts").Request) => void} use */
function withShown(inbox, use) {
  const { selectedId, requests } = inbox.state;
  const request = selectedId === null ? undefined : requests.get(selectedId);
  if (request) use(request);
}
