/** What changed between two texts: by lines, and within changed lines by words. Pure; bounded whatever the texts are. */

/** @typedef {{ kind: "same" | "added" | "removed", text: string }} Part */

const MOST = 4_000_000;
/** Cells of a comparison (lines times lines): beyond, the middle is told as removed and added whole. */

/**
 * The parts of both texts in reading order; `same` and `removed` together are `before`, `same` and `added` are `after`.
 *
 * @param {string} before
 * @param {string} after
 * @returns {Part[]}
 */
export function diff(before, after) {
  const parts = compared(linesOf(before), linesOf(after));
  /** @type {Part[]} */
  const found = [];
  for (let at = 0; at < parts.length; at += 1) {
    const part = /** @type {Part} */ (parts[at]);
    const next = parts[at + 1];
    if (part.kind === "removed" && next?.kind === "added") {
      found.push(...alike(part.text, next.text));
      at += 1;
    } else found.push(part);
  }
  return joined(found);
}

/** Whether anything changed. @param {readonly Part[]} parts */
export const hasChanges = (parts) => parts.some((part) => part.kind !== "same");

/**
 * Words of changed lines, unless they have so little in common that whole lines read better.
 *
 * @param {string} before
 * @param {string} after
 * @returns {Part[]}
 */
function alike(before, after) {
  const parts = compared(wordsOf(before), wordsOf(after));
  const same = parts.filter((part) => part.kind === "same").reduce((sum, part) => sum + part.text.trim().length, 0);
  if (same * 3 >= Math.min(before.trim().length, after.trim().length)) return parts;
  return [
    { kind: "removed", text: before },
    { kind: "added", text: after },
  ];
}

/** @param {string} text */
const linesOf = (text) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
/** @param {string} text */
const wordsOf = (text) => text.match(/\s+|\d+(?:[.,]\d+)*|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];

/**
 * @param {string[]} before
 * @param {string[]} after
 * @returns {Part[]}
 */
function compared(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  const middle = longest(before.slice(start, before.length - end), after.slice(start, after.length - end));
  return joined([{ kind: "same", text: before.slice(0, start).join("") }, ...middle, { kind: "same", text: before.slice(before.length - end).join("") }]);
}

/**
 * By the longest common subsequence.
 *
 * @param {string[]} before
 * @param {string[]} after
 * @returns {Part[]}
 */
function longest(before, after) {
  const width = after.length + 1;
  if (!before.length || !after.length || before.length * after.length > MOST) {
    return [
      { kind: "removed", text: before.join("") },
      { kind: "added", text: after.join("") },
    ];
  }
  const lengths = new Uint16Array((before.length + 1) * width);
  const cell = (/** @type {number} */ row, /** @type {number} */ column) => lengths[row * width + column] ?? 0;
  for (let row = before.length - 1; row >= 0; row -= 1) {
    for (let column = after.length - 1; column >= 0; column -= 1) {
      lengths[row * width + column] = before[row] === after[column] ? cell(row + 1, column + 1) + 1 : Math.max(cell(row + 1, column), cell(row, column + 1));
    }
  }
  /** @type {Part[]} */
  const parts = [];
  let row = 0;
  let column = 0;
  while (row < before.length || column < after.length) {
    if (row < before.length && column < after.length && before[row] === after[column]) {
      parts.push({ kind: "same", text: /** @type {string} */ (before[row]) });
      row += 1;
      column += 1;
    } else if (row < before.length && (column >= after.length || cell(row + 1, column) >= cell(row, column + 1))) {
      parts.push({ kind: "removed", text: /** @type {string} */ (before[row++]) });
    } else parts.push({ kind: "added", text: /** @type {string} */ (after[column++]) });
  }
  return parts;
}

/** Neighbours of one kind as one, removed before added, nothing empty. @param {Part[]} parts @returns {Part[]} */
function joined(parts) {
  /** @type {Part[]} */
  const found = [];
  let removed = "";
  let added = "";
  const flush = () => {
    if (removed) found.push({ kind: "removed", text: removed });
    if (added) found.push({ kind: "added", text: added });
    removed = added = "";
  };
  for (const { kind, text } of parts) {
    if (!text) continue;
    if (kind === "removed") removed += text;
    else if (kind === "added") added += text;
    else {
      flush();
      const last = found.at(-1);
      if (last?.kind === "same") last.text += text;
      else found.push({ kind, text });
    }
  }
  flush();
  return found;
}
