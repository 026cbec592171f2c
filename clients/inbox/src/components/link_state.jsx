/** Whether the server is heard; always there to be seen. */

const WORDS = { connecting: "Connecting", open: "Live", broken: "Offline" };
const WHY = {
  connecting: "Connecting to the server",
  open: "The server is heard: whatever happens appears at once",
  broken: "The server is not heard. It is tried again by itself, and nothing is missed",
};

/** @param {{ inbox: import("../inbox.js").Inbox, link: import("../types.d.ts").Link }} props */
export function LinkState({ inbox, link }) {
  return (
    <span class={`link-state ${link}`}>
      <span role="status" title={WHY[link]}>
        <span class="dot" aria-hidden="true" />
        {WORDS[link]}
      </span>
      {link === "broken" && (
        <button type="button" class="plain" onClick={() => inbox.nudge()}>
          Try now
        </button>
      )}
    </span>
  );
}
