/** Addresses of the page: what stands behind the `#`, which no server and no log sees. Pure. */

/** @typedef {{ view: import("./types.d.ts").View, requestId: string | null }} Route */

/** @param {string} hash @returns {Route} */
export function routeOf(hash) {
  const [, first, id] = /^#\/(requests|history)(?:\/([A-Za-z0-9._~:-]{1,128}))?$/.exec(hash) ?? [];
  return { view: first === "history" ? "history" : "waiting", requestId: id ?? null };
}

/** @param {Route} route */
export function hashOf({ view, requestId }) {
  const place = view === "history" ? "history" : "requests";
  return requestId ? `#/${place}/${requestId}` : view === "history" ? "#/history" : "#/";
}
