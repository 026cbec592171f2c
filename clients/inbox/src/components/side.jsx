/** The left side: how the server is heard, what is looked for, and the list. */

import { useEffect, useRef } from "preact/hooks";
import { fieldOf, withField } from "../filter.js";
import { offered, open, shown } from "../lists.js";
import { counted } from "../words.js";
import { Nothing } from "./empty.jsx";
import { Icon } from "./icon.jsx";
import { LinkState } from "./link_state.jsx";
import { List } from "./list.jsx";
import { Mark } from "./sign_in.jsx";

/**
 * @typedef {import("../inbox.js").Inbox} Inbox
 * @typedef {import("../types.d.ts").State} State
 */

/** @param {{ inbox: Inbox, state: State }} props */
export function Side({ inbox, state }) {
  const requests = shown(state);
  const count = open(state).length;
  return (
    <nav class="side" aria-label="Questions">
      <header class="side-head">
        <div class="brand">
          <Mark />
          <h1>Inbox</h1>
        </div>
        <LinkState inbox={inbox} link={state.link} />
        <Menu inbox={inbox} state={state} />
      </header>
      <Troubled lines={state.troubles} />
      <div class="tabs" role="group" aria-label="Show">
        <button type="button" aria-pressed={state.view === "waiting"} onClick={() => inbox.show("waiting")}>
          Waiting <span class="count">{count.toLocaleString()}</span>
        </button>
        <button type="button" aria-pressed={state.view === "history"} onClick={() => inbox.show("history")}>
          History
        </button>
      </div>
      <Search inbox={inbox} state={state} />
      {state.picked.size > 0 && (
        <p class="picked-line">
          {counted(state.picked.size, "question")} selected
          <button type="button" class="plain" onClick={() => inbox.unpick()}>
            Clear <kbd>Esc</kbd>
          </button>
        </p>
      )}
      {requests.length ? <List inbox={inbox} state={state} requests={requests} /> : <NoRows inbox={inbox} state={state} />}
    </nav>
  );
}

/** @param {{ lines: readonly string[] }} props */
function Troubled({ lines }) {
  return (
    <div role="status">
      {lines.map((line) => (
        <p key={line} class="troubled">
          {line}
        </p>
      ))}
    </div>
  );
}

/** @param {{ inbox: Inbox, state: State }} props */
function NoRows({ inbox, state }) {
  if (state.view === "waiting" ? !state.isLoaded : state.history.state === "loading") return <Nothing title="Loading…" />;
  if (state.view === "history" && state.history.state === "failed") {
    return (
      <Nothing title="History could not be read">
        <button type="button" onClick={() => inbox.search(state.query)}>Try again</button>
      </Nothing>
    );
  }
  if (state.query) {
    return (
      <Nothing title="Nothing fits this search">
        <button type="button" onClick={() => inbox.search("")}>
          Clear the search
        </button>
      </Nothing>
    );
  }
  return <Nothing title={state.view === "waiting" ? "Nothing waits" : "Nothing was settled yet"} />;
}

/** @param {{ inbox: Inbox, state: State }} props */
function Search({ inbox, state }) {
  const isOpen = state.overlay === "filters";
  return (
    <div class="search">
      <div class="search-line">
        <Icon name="search" />
        <input
          type="search"
          data-focus="search"
          placeholder="Search"
          aria-label="Search; also agent:name, run:id, kind:form, older:2h"
          value={state.query}
          onInput={(event) => inbox.search(event.currentTarget.value)}
        />
        <kbd aria-hidden="true">/</kbd>
        <button type="button" class="tool" aria-expanded={isOpen} aria-controls="filters" aria-label="Filters" title="Filters" onClick={() => inbox.overlay("filters")}>
          <Icon name="filter" />
        </button>
      </div>
      {isOpen && <Filters inbox={inbox} state={state} />}
    </div>
  );
}

const KINDS = ["review", "approval", "gate", "question", "choice", "form"];
const PRIORITIES = ["urgent", "high", "normal", "low"];
const STATUSES = ["answered", "expired", "cancelled"];
const AGES = /** @type {const} */ ([["older:1h", "waits for over 1 h"], ["older:24h", "waits for over a day"], ["newer:1h", "of the last hour"], ["newer:24h", "of the last day"], ["newer:7d", "of the last week"]]);

/** @param {{ inbox: Inbox, state: State }} props */
function Filters({ inbox, state }) {
  const { agents, runs } = offered(state);
  const pairs = (/** @type {readonly string[]} */ names) => names.map((name) => /** @type {[string, string]} */ ([name, name]));
  const counts = (/** @type {[string, number][]} */ found) => found.map(([name, count]) => /** @type {[string, string]} */ ([name, `${name} (${count})`]));
  const age = ["older", "newer"].map((field) => fieldOf(state.query, field) && `${field}:${fieldOf(state.query, field)}`).find(Boolean) ?? "";
  const setAge = (/** @type {string} */ term) => inbox.search([withField(withField(state.query, "older", ""), "newer", ""), term].filter(Boolean).join(" "));
  return (
    <div class="filters" id="filters">
      <Pick name="Agent" field="agent" values={counts(agents)} inbox={inbox} state={state} />
      <Pick name="Execution" field="run" values={counts(runs)} inbox={inbox} state={state} />
      <Pick name="Kind" field="kind" values={pairs(KINDS)} inbox={inbox} state={state} />
      {state.view === "waiting" ? (
        <Pick name="Priority" field="priority" values={pairs(PRIORITIES)} inbox={inbox} state={state} />
      ) : (
        <Pick name="Status" field="status" values={pairs(STATUSES)} inbox={inbox} state={state} />
      )}
      <label>
        Age
        <select value={AGES.some(([term]) => term === age) ? age : ""} onChange={(event) => setAge(event.currentTarget.value)}>
          <option value="">any</option>
          {AGES.map(([term, name]) => (
            <option key={term} value={term}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {state.view === "waiting" && (
        <label>
          Order
          <select value={state.order} onChange={(event) => inbox.sort(/** @type {any} */ (event.currentTarget.value))}>
            <option value="urgent">most urgent first</option>
            <option value="oldest">oldest first</option>
            <option value="newest">newest first</option>
          </select>
        </label>
      )}
    </div>
  );
}

/** @param {{ name: string, field: string, values: [string, string][], inbox: Inbox, state: State }} props */
function Pick({ name, field, values, inbox, state }) {
  const held = fieldOf(state.query, field);
  const known = values.find(([value]) => value.toLowerCase() === held)?.[0] ?? held;
  return (
    <label>
      {name}
      <select value={known} onChange={(event) => inbox.search(withField(state.query, field, event.currentTarget.value))}>
        <option value="">any</option>
        {held && known === held && !values.some(([value]) => value === held) && <option value={held}>{held}</option>}
        {values.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}

/** @param {{ inbox: Inbox, state: State }} props */
function Menu({ inbox, state }) {
  const isOpen = state.overlay === "menu";
  const box = /** @type {{ current: HTMLDivElement | null }} */ (useRef(null));
  useEffect(() => {
    if (!isOpen) return undefined;
    const away = (/** @type {Event} */ event) => {
      if (box.current && !event.composedPath().includes(box.current)) inbox.update({ overlay: null });
    };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [isOpen, inbox]);
  return (
    <div class="menu-box" ref={box}>
      <button type="button" class="tool" aria-expanded={isOpen} aria-controls="menu" aria-label="Menu" onClick={() => inbox.overlay("menu")}>
        <Icon name="more" />
      </button>
      {isOpen && (
        <div class="menu" id="menu">
          <button type="button" onClick={() => inbox.overlay("help")}>
            Keys <kbd>?</kbd>
          </button>
          <button type="button" aria-pressed={state.notifies} onClick={() => inbox.notify(!state.notifies)}>
            {state.pushes ? "This device is notified" : state.notifies ? "Notifications are on" : "Notify this device"}
          </button>
          <button type="button" onClick={() => { inbox.overlay(null); void inbox.sendSample(); }}>
            Send a sample
          </button>
          {state.needsKey && (
            <button type="button" onClick={() => inbox.signOut()}>
              Sign out
            </button>
          )}
        </div>
      )}
    </div>
  );
}
