/** A real sayso server of its own, in a process of its own. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const COMMAND = process.env.SAYSO_COMMAND ?? fileURLToPath(new URL("../../../.venv/bin/sayso", import.meta.url));
export const KEY = "test-key";

/** Its address and a way to end it. */
export async function serve() {
  const env = { ...process.env, SAYSO_API_KEY: KEY };
  const child = spawn(COMMAND, ["serve", "--port", "0", "--store", ":memory:"], { env, stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  const told = [];
  for await (const line of createInterface({ input: child.stderr })) {
    told.push(line);
    const found = /sayso listens on (http:\S+)/.exec(line);
    if (!found) continue;
    child.stderr.resume();
    const stop = () => child.kill() && exited;
    return { url: found[1], stop };
  }
  throw new Error(`${COMMAND} did not start: ${told.join("\n")}`);
}
