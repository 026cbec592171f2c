/** What each key does. Pure. */

/** @typedef {{ key: string, command: string, says: string, shown?: string }} Binding */

/** The key that stands for a command on this machine. */
export const MOD = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "") ? "⌘" : "Ctrl";

/** @type {readonly { name: string, bindings: readonly Binding[] }[]} */
export const GROUPS = [
  {
    name: "Move",
    bindings: [
      { key: "j", command: "next", says: "Next question" },
      { key: "k", command: "previous", says: "Question before" },
      { key: "Enter", command: "open", says: "Open it, or go into it" },
      { key: "Escape", command: "back", says: "Back, or put away", shown: "Esc" },
      { key: "h", command: "history", says: "Waiting or history" },
      { key: "/", command: "search", says: "Search" },
    ],
  },
  {
    name: "Answer",
    bindings: [
      { key: "a", command: "approve", says: "Approve" },
      { key: "e", command: "edit", says: "Edit: your text or arguments instead" },
      { key: "r", command: "respond", says: "Respond" },
      { key: "x", command: "reject", says: "Reject, with a reason" },
      { key: "1", command: "option", says: "Choose an option by its number", shown: "1 – 9" },
      { key: "u", command: "undo", says: "Undo, within 5 s" },
      { key: "Mod+Enter", command: "submit", says: "Send what you have written", shown: `${MOD} Enter` },
    ],
  },
  {
    name: "More",
    bindings: [
      { key: "s", command: "pick", says: "Select, to answer several at once" },
      { key: "l", command: "copyLink", says: "Copy the link" },
      { key: "c", command: "copyCurl", says: "Copy as curl" },
      { key: "?", command: "help", says: "These keys" },
    ],
  },
];

const COMMANDS = new Map(GROUPS.flatMap(({ bindings }) => bindings.map(({ key, command }) => [key, command])));

/**
 * The command that a key press means, or null. While someone writes, only leaving and sending are left.
 *
 * @param {{ key: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean, isComposing?: boolean }} press
 * @param {{ isWriting: boolean, isOnControl: boolean, hasKeys: boolean }} where
 * @returns {{ command: string, number?: number } | null}
 */
export function commandOf(press, { isWriting, isOnControl, hasKeys }) {
  if (press.isComposing || press.altKey) return null;
  if (press.ctrlKey || press.metaKey) return press.key === "Enter" ? { command: "submit" } : null;
  if (press.key === "Escape") return { command: "back" };
  if (isWriting) return null;
  if (press.key === "Enter") return isOnControl ? null : { command: "open" };
  if (!hasKeys) return null;
  if (/^[1-9]$/.test(press.key)) return { command: "option", number: Number(press.key) };
  const command = COMMANDS.get(press.key.length === 1 ? press.key.toLowerCase() : press.key);
  return command ? { command } : null;
}
