/** `<sayso-inbox>`: the inbox as an element. With the attribute `page` it is the whole page, and minds address and title. */

import { h, render } from "preact";
import { App } from "./components/app.jsx";
import { Inbox } from "./inbox.js";
import css from "./style/index.css";

const HERE = new URL("..", import.meta.url).href;
/** The server that this file came from. */

class SaysoInbox extends HTMLElement {
  /** @type {Inbox | undefined} */
  #inbox;

  connectedCallback() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    const isPage = this.hasAttribute("page");
    this.#inbox = new Inbox({ base: HERE, isPage });
    render(h(App, { inbox: this.#inbox, isPage, host: this }), root);
    this.#inbox.start();
  }

  disconnectedCallback() {
    this.#inbox?.stop();
    if (this.shadowRoot) render(null, this.shadowRoot);
    this.#inbox = undefined;
  }
}

if (!customElements.get("sayso-inbox")) customElements.define("sayso-inbox", SaysoInbox);
