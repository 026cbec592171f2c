/** JSON, set so that names, words and numbers can be told apart. */

import { useMemo } from "preact/hooks";
import { Text } from "./text.jsx";

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)/g;

/** @param {{ value: unknown, label: string }} props */
export function Json({ value, label }) {
  const parts = useMemo(() => tokens(JSON.stringify(value, null, 2) ?? ""), [value]);
  return (
    <pre class="json" tabIndex={0} aria-label={label}>
      <code>
        {parts.map(({ kind, text }, number) =>
          kind ? (
            <span key={number} class={kind}>
              <Text>{text}</Text>
            </span>
          ) : (
            text
          ),
        )}
      </code>
    </pre>
  );
}

/** @param {string} text */
function tokens(text) {
  /** @type {{ kind: string, text: string }[]} */
  const found = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [whole, string, colon, number] = match;
    if (match.index > at) found.push({ kind: "", text: text.slice(at, match.index) });
    if (string !== undefined) found.push({ kind: colon ? "name" : "string", text: string }, { kind: "", text: colon ?? "" });
    else found.push({ kind: number === undefined ? "word" : "number", text: whole });
    at = match.index + whole.length;
  }
  return [...found, { kind: "", text: text.slice(at) }];
}
