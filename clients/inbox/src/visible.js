/** Characters that a reader cannot see, or that make others stand where they are not, shown by name. Pure. */

const NAMES = new Map([
  [0x00ad, "soft hyphen"],
  [0x061c, "ALM"],
  [0x115f, "filler"],
  [0x1160, "filler"],
  [0x180e, "MVS"],
  [0x200b, "ZWSP"],
  [0x200c, "ZWNJ"],
  [0x200d, "ZWJ"],
  [0x200e, "LRM"],
  [0x200f, "RLM"],
  [0x2028, "LS"],
  [0x2029, "PS"],
  [0x202a, "LRE"],
  [0x202b, "RLE"],
  [0x202c, "PDF"],
  [0x202d, "LRO"],
  [0x202e, "RLO"],
  [0x2060, "WJ"],
  [0x2066, "LRI"],
  [0x2067, "RLI"],
  [0x2068, "FSI"],
  [0x2069, "PDI"],
  [0x3164, "filler"],
  [0xfeff, "BOM"],
  [0xffa0, "filler"],
]);

const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e0fff}]/gu;

/**
 * `text` in pieces: strings as they are, and `{ name }` for each character that would not be seen.
 *
 * @param {string} text
 * @returns {(string | { name: string })[]}
 */
export function pieces(text) {
  /** @type {(string | { name: string })[]} */
  const found = [];
  let at = 0;
  for (const match of text.matchAll(HIDDEN)) {
    const code = /** @type {number} */ (match[0].codePointAt(0));
    if (code === 0x200d && isInEmoji(text, match.index)) continue;
    if (code === 0x0d && text[match.index + 1] === "\n") continue;
    if (match.index > at) found.push(text.slice(at, match.index));
    found.push({ name: NAMES.get(code) ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}` });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push(text.slice(at));
  return found;
}

/** One line of text without anything that hides: for titles of windows and notifications. @param {string} text */
export function plainLine(text) {
  return pieces(text)
    .map((piece) => (typeof piece === "string" ? piece : `[${piece.name}]`))
    .join("")
    .replace(/\s+/g, " ")
    .trim();
}

/** @param {string} text @param {number} at */
function isInEmoji(text, at) {
  return /\p{Extended_Pictographic}[\u{fe0f}\u{1f3fb}-\u{1f3ff}]?$/u.test(text.slice(Math.max(0, at - 4), at)) && /^\p{Extended_Pictographic}/u.test(text.slice(at + 1));
}
