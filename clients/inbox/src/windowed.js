/** Which rows of a long list are drawn. Pure. */

const BEYOND = 6;
/** Rows drawn above and below what is seen, so that a quick scroll shows no gap. */

/**
 * The first row to draw and the one after the last.
 *
 * @param {{ count: number, row: number, top: number, height: number }} list sizes in pixels
 */
export function windowOf({ count, row, top, height }) {
  const first = Math.max(0, Math.floor(top / row) - BEYOND);
  const last = Math.min(count, Math.ceil((top + height) / row) + BEYOND);
  return { first: Math.min(first, count), last: Math.max(last, Math.min(first, count)) };
}

/**
 * Where to scroll so that row `index` is seen whole; `top` itself when it is already.
 *
 * @param {number} index
 * @param {{ row: number, top: number, height: number }} list
 */
export function scrolledTo(index, { row, top, height }) {
  if (index * row < top) return index * row;
  if ((index + 1) * row > top + height) return (index + 1) * row - height;
  return top;
}
