/** Markdown as a tree that can only become harmless elements. No HTML is ever made of it; what is not known is text. Pure. */

import { Lexer } from "marked";

/**
 * @typedef {import("marked").Token} Token
 * @typedef {{ tag: string, children: Node[], href?: string, host?: string, language?: string, start?: number, align?: string | null, isDone?: boolean }} Element
 * @typedef {string | Element} Node
 */

const DEPTH = 24;
/** Quotes within lists within quotes; what is deeper is shown as it is written. */
const LONGEST = 64_000;
/** Characters that are read as markdown; a longer text is shown as it is written, since reading may take long. */

const ENTITIES = new Map(Object.entries({ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", hellip: "…", mdash: "—", ndash: "–", copy: "©" }));

/** @param {string} text @returns {Node[]} */
export function markdown(text) {
  if (text.length > LONGEST) return [{ tag: "plain", children: [text] }];
  try {
    return blocks(new Lexer({ gfm: true }).lex(text), 0);
  } catch {
    return [{ tag: "plain", children: [text] }]; // nested more deeply than the reader can follow
  }
}

/** @param {readonly Token[]} tokens @param {number} depth @returns {Node[]} */
function blocks(tokens, depth) {
  return tokens.flatMap((token) => block(/** @type {any} */ (token), depth + 1));
}

/** @param {any} token @param {number} depth @returns {Node[]} */
function block(token, depth) {
  if (depth > DEPTH) return [token.raw];
  const inner = () => (token.tokens ? inlines(token.tokens, depth) : [decoded(token.text ?? token.raw)]);
  switch (token.type) {
    case "space":
    case "def":
      return [];
    case "heading":
      return [{ tag: `h${Math.min(token.depth + 2, 6)}`, children: inner() }];
    case "paragraph":
      return [{ tag: "p", children: inner() }];
    case "text":
      return token.tokens ? inner() : [decoded(token.text)];
    case "blockquote":
      return [{ tag: "blockquote", children: blocks(token.tokens, depth) }];
    case "code":
      return [{ tag: "code-block", language: (token.lang ?? "").slice(0, 24), children: [token.text] }];
    case "hr":
      return [{ tag: "hr", children: [] }];
    case "list":
      return [list(token, depth)];
    case "table":
      return [table(token, depth)];
    case "html":
      return [{ tag: "source", children: [token.text.replace(/\n+$/, "")] }];
    case "checkbox":
      return [];
    default:
      return inline(token, depth);
  }
}

/** @param {any} token @param {number} depth @returns {Element} */
function list(token, depth) {
  return {
    tag: token.ordered ? "ol" : "ul",
    ...(token.ordered && token.start !== 1 && { start: Number(token.start) }),
    children: token.items.map((/** @type {any} */ item) => ({
      tag: "li",
      ...(item.task && { isDone: Boolean(item.checked) }),
      children: blocks(item.tokens, depth),
    })),
  };
}

/** @param {any} token @param {number} depth @returns {Element} */
function table(token, depth) {
  const row = (/** @type {string} */ tag, /** @type {any[]} */ cells) => ({
    tag: "tr",
    children: cells.map((cell, number) => ({ tag, align: token.align[number], children: inlines(cell.tokens, depth) })),
  });
  return {
    tag: "table",
    children: [
      { tag: "thead", children: [row("th", token.header)] },
      { tag: "tbody", children: token.rows.map((/** @type {any[]} */ cells) => row("td", cells)) },
    ],
  };
}

/** @param {readonly Token[]} tokens @param {number} depth @returns {Node[]} */
function inlines(tokens, depth) {
  return tokens.flatMap((token) => inline(/** @type {any} */ (token), depth + 1));
}

/** @param {any} token @param {number} depth @returns {Node[]} */
function inline(token, depth) {
  if (depth > DEPTH) return [token.raw];
  const inner = () => (token.tokens ? inlines(token.tokens, depth) : [decoded(token.text)]);
  switch (token.type) {
    case "text":
      return token.tokens ? inner() : [decoded(token.text)];
    case "escape":
      return [token.text];
    case "strong":
    case "em":
    case "del":
      return [{ tag: token.type, children: inner() }];
    case "codespan":
      return [{ tag: "code", children: [token.text] }];
    case "br":
      return [{ tag: "br", children: [] }];
    case "link":
      return [link(token.href, inner())];
    case "image":
      return [{ tag: "picture-link", children: [link(token.href, [token.text || "picture"])] }];
    case "html":
      return /^<br\s*\/?>$/i.test(token.text) ? [{ tag: "br", children: [] }] : [{ tag: "source", children: [token.text] }];
    default:
      return [token.raw];
  }
}

/**
 * A link says where it leads, in letters that cannot be taken for others. Only https can be followed.
 *
 * @param {string} href
 * @param {Node[]} children
 * @returns {Element}
 */
function link(href, children) {
  const address = decoded(href);
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol !== "https:" || url.username || url.password) return { tag: "no-link", host: address.slice(0, 200), children };
  return { tag: "a", href: url.href, host: url.host, children };
}

/** Text with its entities as characters. @param {string} text */
function decoded(text) {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,6}));/gi, (whole, decimal, hex, name) => {
    if (name) return ENTITIES.get(name) ?? whole;
    const code = decimal ? Number(decimal) : parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : "\ufffd";
  });
}
