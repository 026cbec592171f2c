/** What is shown where there is nothing. */

import { Mark } from "./sign_in.jsx";

/** @param {{ inbox: import("../inbox.js").Inbox, needsKey: boolean }} props */
export function FirstQuestion({ inbox, needsKey }) {
  const url = inbox.base.replace(/\/$/, "");
  const key = needsKey ? '-H "Authorization: Bearer $SAYSO_API_KEY" ' : "";
  return (
    <div class="empty">
      <Mark />
      <h2>Nothing waits for you</h2>
      <p class="quiet">When an agent asks, its question appears here at once.</p>
      <button type="button" class="primary" onClick={() => inbox.sendSample()}>
        Send a sample
      </button>
      <section aria-label="Ask the first question">
        <h3>From crewAI</h3>
        <pre class="json" tabIndex={0} aria-label="Python">
          <code>{`from sayso import connect\nfrom sayso.adapters.crewai import install\n\ntask = Task(..., human_input=True)\n\ninstall(connect("${url}"${needsKey ? ', api_key="…"' : ""}))\ncrew.kickoff()`}</code>
        </pre>
        <h3>From a shell</h3>
        <pre class="json" tabIndex={0} aria-label="Shell">
          <code>{`curl ${key}${url}/requests \\\n  -d '{"execution_id": "first", "prompt": "Ship it?"}'`}</code>
        </pre>
      </section>
    </div>
  );
}

/** @param {{ title: string, children?: any }} props */
export function Nothing({ title, children }) {
  return (
    <div class="empty small">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}
