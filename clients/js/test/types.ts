/** Checked, never run: the declarations fit the code, and callers get the types they are promised. */

import * as actual from "../src/index.js";
import type * as declared from "../index.js";
import { AlreadySettled, Sayso } from "sayso";

export const conforms: typeof declared = actual;
export const nothingMore: keyof typeof declared = {} as keyof typeof actual;
export const same: declared.Sayso = {} as actual.Sayso;

export async function use(client: Sayso): Promise<string> {
  const asked = await client.ask({ execution_id: "e", prompt: "Ship it?", options: [{ id: "yes" }] });
  // @ts-expect-error a question needs a prompt
  await client.ask({ execution_id: "e" });
  // @ts-expect-error there is no such status
  client.list({ status: "done" });
  for await (const message of client.follow({ after: null })) {
    if (message.type === "reset") return message.requests.map((request) => request.title).join();
    if (message.type === "human_input_required") return message.prompt;
    // @ts-expect-error only the asking event has a prompt
    message.prompt;
  }
  try {
    return (await client.answer(asked.request_id, { human_feedback: "" })).status;
  } catch (error) {
    return error instanceof AlreadySettled ? String(error.request.settled_by) : "";
  }
}
