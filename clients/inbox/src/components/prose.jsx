/** An agent's markdown, as elements that can neither act nor load anything. */

import { useMemo } from "preact/hooks";
import { markdown } from "../markdown.js";
import { Text } from "./text.jsx";

/** @param {{ text: string }} props */
export function Prose({ text }) {
  const nodes = useMemo(() => markdown(text), [text]);
  return <div class="prose">{nodes.map(drawn)}</div>;
}

/** @type {Record<string, (node: import("../markdown.js").Element, inner: any) => any>} */
const SPECIAL = {
  plain: (_, inner) => <pre class="plain">{inner}</pre>,
  source: (_, inner) => <code class="source">{inner}</code>,
  "code-block": (node, inner) => (
    <figure class="code">
      {node.language && <figcaption>{node.language}</figcaption>}
      <pre tabIndex={0} aria-label="Code">
        <code>{inner}</code>
      </pre>
    </figure>
  ),
  a: (node, inner) => (
    <span class="link">
      <a href={node.href ?? ""} target="_blank" rel="noopener noreferrer nofollow">
        {inner}
      </a>{" "}
      <span class="host">{node.host}</span>
    </span>
  ),
  "no-link": (node, inner) => (
    <span class="link">
      {inner} <span class="host">{plainAddress(node.host ?? "")}</span>
    </span>
  ),
  "picture-link": (_, inner) => <span class="picture">Picture: {inner}</span>,
  table: (_, inner) => (
    <div class="table" tabIndex={0} role="group" aria-label="Table">
      <table>{inner}</table>
    </div>
  ),
  th: (node, inner) => <th scope="col" class={node.align ?? ""}>{inner}</th>,
  td: (node, inner) => <td class={node.align ?? ""}>{inner}</td>,
  ol: (node, inner) => <ol start={node.start}>{inner}</ol>,
  li: (node, inner) =>
    node.isDone === undefined ? (
      <li>{inner}</li>
    ) : (
      <li class="task">
        <span class="box" role="img" aria-label={node.isDone ? "done" : "not done"}>
          {node.isDone ? "☑" : "☐"}
        </span>
        {inner}
      </li>
    ),
  br: () => <br />,
  hr: () => <hr />,
};
const PLAIN = new Set(["p", "h3", "h4", "h5", "h6", "ul", "blockquote", "strong", "em", "del", "code", "tr", "thead", "tbody"]);

/** @param {import("../markdown.js").Node} node @param {number} [key] @returns {any} */
function drawn(node, key) {
  if (typeof node === "string") return <Text key={key}>{node}</Text>;
  const inner = node.children.map(drawn);
  const special = SPECIAL[node.tag];
  if (special) return special(node, inner);
  const Tag = /** @type {any} */ (PLAIN.has(node.tag) ? node.tag : "span");
  return <Tag key={key}>{inner}</Tag>;
}

/** @param {string} address */
const plainAddress = (address) => <Text>{address}</Text>;
