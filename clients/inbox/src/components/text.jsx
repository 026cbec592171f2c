/** Text of an agent's, with what would not be seen in it shown by name. */

import { pieces } from "../visible.js";

/** @param {{ children: string }} props */
export function Text({ children }) {
  return pieces(children).map((piece) => (typeof piece === "string" ? piece : <span class="unseen" title="A character that is not seen">{piece.name}</span>));
}
