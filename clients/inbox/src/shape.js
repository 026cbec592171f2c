/** Which requests can be answered together: those that take the same answers. Pure. */

/** @typedef {import("./types.d.ts").Request} Request */

/** @param {Request} request */
export function shapeOf({ kind, allow, options, response_schema, action }) {
  return JSON.stringify([kind, allow, options.map(({ id, label }) => [id, label]), response_schema, action?.name ?? null]);
}

/** @param {readonly Request[]} requests */
export function haveOneShape(requests) {
  const [first, ...others] = requests.map(shapeOf);
  return first !== undefined && others.every((shape) => shape === first);
}
