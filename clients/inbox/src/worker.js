/** The shared worker: one stream for every tab of this browser, since a browser opens few connections to one server. */

import { Stream } from "./stream.js";

/** @type {Set<MessagePort>} */
const tabs = new Set();
const base = new URL("..", location.href).href;
const stream = new Stream(base, (told) => tabs.forEach((tab) => tab.postMessage(told)));

/** @type {Record<string, (tab: MessagePort) => void>} */
const orders = {
  join(tab) {
    tabs.add(tab);
    for (const told of stream.standing) tab.postMessage(told);
    stream.start();
  },
  leave(tab) {
    tabs.delete(tab);
    tab.close();
    if (!tabs.size) stream.stop();
  },
  nudge: () => stream.nudge(),
  end: () => stream.end(),
};

globalThis.addEventListener("connect", (event) => {
  const [tab] = /** @type {MessageEvent} */ (event).ports;
  if (!tab) return;
  tab.onmessage = ({ data }) => orders[data]?.(tab);
});
