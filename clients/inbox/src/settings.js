/** What a person has set on this browser. Never a key: that is in a cookie which no script can read. */

const NAME = "sayso-inbox";

/** @typedef {{ order: import("./types.d.ts").Order, hasKeys: boolean, notifies: boolean }} Settings */

/** @returns {Settings} */
export function remembered() {
  let kept = {};
  try {
    kept = Object(JSON.parse(localStorage.getItem(NAME) ?? "{}"));
  } catch {
    // nothing is kept here, or not by us
  }
  const { order, hasKeys, notifies } = /** @type {any} */ (kept);
  return { order: ["urgent", "oldest", "newest"].includes(order) ? order : "urgent", hasKeys: hasKeys !== false, notifies: notifies === true };
}

/** @param {Partial<Settings>} changes */
export function remember(changes) {
  try {
    localStorage.setItem(NAME, JSON.stringify({ ...remembered(), ...changes }));
  } catch {
    // a browser that keeps nothing; the setting lasts as long as the page
  }
}
