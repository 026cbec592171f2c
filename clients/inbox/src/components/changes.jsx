/** What changed between two texts. */

import { useMemo } from "preact/hooks";
import { diff, hasChanges } from "../diff.js";
import { Text } from "./text.jsx";

/** @param {{ before: string, after: string, label: string, isCode?: boolean }} props */
export function Changes({ before, after, label, isCode = false }) {
  const parts = useMemo(() => diff(before, after), [before, after]);
  if (!hasChanges(parts)) return <p class="quiet">Nothing is changed.</p>;
  return (
    <pre class={isCode ? "changes code" : "changes"} tabIndex={0} role="group" aria-label={label}>
      {parts.map(({ kind, text }, number) => {
        const inner = <Text>{text}</Text>;
        if (kind === "same") return <span key={number}>{inner}</span>;
        return kind === "added" ? <ins key={number}>{inner}</ins> : <del key={number}>{inner}</del>;
      })}
    </pre>
  );
}
