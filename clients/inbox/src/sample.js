/** A question to try the inbox with. */

/** @returns {import("../../js/index.d.ts").Question} */
export const sample = () => ({
  execution_id: `sample-${Date.now().toString(36)}`,
  kind: "review",
  title: "Announce the new ferry",
  prompt: "Read the draft. **Approve** it, **edit** it, say what to change, or **reject** it.\n\nNothing happens with your answer: this is a sample, sent from the inbox.",
  context: "# The new ferry\n\nFrom Monday, a ferry sails every hour from Esbjerg:\n\n| from | to | price |\n|---|---|---|\n| 06:00 | 20:00 | 40 kr |\n\n- Bicycles travel free\n- Dogs are welcome\n",
  context_data: { agent: "Writer", task: "Announce the new ferry" },
  priority: "normal",
});
