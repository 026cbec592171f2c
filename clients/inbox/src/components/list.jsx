/** The list, of which only the rows that are seen are drawn. */

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { scrolledTo, windowOf } from "../windowed.js";
import { Row } from "./row.jsx";

const ROW = 56;
/** Pixels; the style sheet has the same. */

/** @param {{ inbox: import("../inbox.js").Inbox, state: import("../types.d.ts").State, requests: readonly import("../types.d.ts").Request[] }} props */
export function List({ inbox, state, requests }) {
  const box = /** @type {{ current: HTMLDivElement | null }} */ (useRef(null));
  const [seen, setSeen] = useState({ top: 0, height: 800 });
  const look = useCallback(() => {
    const element = box.current;
    if (!element) return;
    setSeen({ top: element.scrollTop, height: element.clientHeight });
    if (state.view === "history" && element.scrollTop + element.clientHeight * 2 > element.scrollHeight) void inbox.readOlder();
  }, [inbox, state.view]);
  useEffect(() => {
    const watcher = new ResizeObserver(look);
    if (box.current) watcher.observe(box.current);
    return () => watcher.disconnect();
  }, [look]);
  const at = requests.findIndex((request) => request.request_id === state.selectedId);
  useLayoutEffect(() => {
    const element = box.current;
    if (element && at >= 0) element.scrollTop = scrolledTo(at, { row: ROW, top: element.scrollTop, height: element.clientHeight });
  }, [at, state.selectedId]);
  const { first, last } = windowOf({ count: requests.length, row: ROW, ...seen });
  const focusable = at >= 0 ? at : 0;
  return (
    <div class={`list ${state.picked.size ? "picking" : ""}`} ref={box} onScroll={look} tabIndex={-1} data-focus="list">
      <ul style={{ height: `${requests.length * ROW}px` }} aria-label={state.view === "waiting" ? "Waiting questions" : "Settled questions"}>
        {requests.slice(first, last).map((request, number) => (
          <li key={request.request_id} style={{ transform: `translateY(${(first + number) * ROW}px)` }} aria-setsize={requests.length} aria-posinset={first + number + 1}>
            <Row
              inbox={inbox}
              request={request}
              now={state.now}
              isSelected={first + number === at}
              isFocusable={first + number === focusable}
              isPicked={state.picked.has(request.request_id)}
            />
          </li>
        ))}
      </ul>
    </div>
  );
}
