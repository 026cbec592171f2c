/** The keys, and whether they are on: a key alone must not act for someone who speaks to their computer (WCAG 2.1.4). */

import { useEffect, useRef } from "preact/hooks";
import { GROUPS } from "../keys.js";

/** @param {{ inbox: import("../inbox.js").Inbox, state: import("../types.d.ts").State }} props */
export function Help({ inbox, state }) {
  const box = /** @type {{ current: HTMLDialogElement | null }} */ (useRef(null));
  useEffect(() => box.current?.showModal(), []);
  return (
    <dialog class="help-box" ref={box} aria-labelledby="help-title" onClose={() => inbox.update({ overlay: null })} onClick={(event) => event.target === box.current && box.current?.close()}>
      <div class="help-inner">
        <header>
          <h2 id="help-title">Keys</h2>
          <button type="button" class="plain" onClick={() => box.current?.close()}>
            Close <kbd>Esc</kbd>
          </button>
        </header>
        <div class="help-groups">
          {GROUPS.map(({ name, bindings }) => (
            <section key={name}>
              <h3>{name}</h3>
              <dl>
                {bindings.map(({ key, says, shown }) => (
                  <div key={key}>
                    <dt>
                      <kbd>{shown ?? (key.length === 1 ? key.toUpperCase() : key)}</kbd>
                    </dt>
                    <dd>{says}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
        <label class="switch">
          <input type="checkbox" checked={state.hasKeys} onChange={(event) => inbox.useKeys(event.currentTarget.checked)} /> Single keys act
        </label>
      </div>
    </dialog>
  );
}
