/**
 * Tries inputs on the JavaScript client: a line of JSON in, a line of JSON out, in the same order.
 *
 * { use: "events", data } gives what a stream means, cut in each way; { use, data } what a call came to at a server that
 * says `data`: "" where it ended as it may. `data` is in base64. With `broken`, the control, nothing is looked at.
 */

import net from "node:net";
import readline from "node:readline";

import { Sayso, SaysoError } from "../../../clients/js/src/index.js";
import { SSEDecoder } from "../../../clients/js/src/sse_decoder.js";

const PATIENCE = 400;
/** Milliseconds after which a call that would go on is given up. */
const FEW = 3;
const broken = process.argv.includes("broken");
const HANGS = broken ? 1_000 : 10_000;

const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(String(error?.stack ?? error)));

/** The control: each piece is read by itself. */
class Splitting {
  decode(chunk) {
    return new SSEDecoder().decode(chunk);
  }
}

function events(data) {
  const read = (pieces) => {
    const decoder = broken ? new Splitting() : new SSEDecoder();
    return pieces.flatMap((piece) => decoder.decode(piece)).map(({ id, data }) => [id, data]);
  };
  const whole = read([data]);
  const expected = JSON.stringify(whole);
  const pieces = [Array.from(data, (_, at) => data.subarray(at, at + 1))];
  const step = 1 + Math.floor(data.length / 64);
  for (let at = 0; at < data.length; at += step) pieces.push([data.subarray(0, at), new Uint8Array(), data.subarray(at)]);
  return { events: whole, same: pieces.every((one) => JSON.stringify(read(one)) === expected) };
}

/** Replies by the first segment of the address that is called. */
const replies = new Map();
const server = net.createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (head) => {
    const reply = replies.get(/^\S+ \/(\d+)/.exec(head.toString("latin1"))?.[1]);
    socket.end(reply);
  });
});

async function few(iterator) {
  const taken = [];
  for await (const one of iterator) if (taken.push(one) === FEW) break;
  return taken;
}

const USES = {
  get: (sayso, signal) => sayso.get("r-1", { signal }),
  settled: (sayso, signal) => sayso.settled("r-1", { signal }),
  list: (sayso, signal) => few(sayso.list({ signal })),
  ask: (sayso, signal) => sayso.ask({ execution_id: "run-1", prompt: "Ship it?" }, { signal }),
  answer: (sayso, signal) => sayso.answer("r-1", { human_feedback: "yes" }, { signal }),
  cancel: (sayso, signal) => sayso.cancel("r-1", "no", { signal }),
  follow: (sayso, signal) => few(sayso.follow({ executionId: "run-1", signal })),
  followAll: (sayso, signal) => few(sayso.follow({ signal })),
};

async function outcome(use, number, port) {
  const url = `http://127.0.0.1:${port}/${number}`;
  if (broken) return fetch(`${url}/requests`).then((reply) => reply.json()).then((page) => void page.requests.map(String));
  return USES[use](new Sayso({ url }), AbortSignal.timeout(PATIENCE));
}

const hung = () =>
  new Promise((_, reject) => setTimeout(() => reject(new Error("it does not end")), HANGS).unref());

let count = 0;
async function tried({ use, data }, port) {
  const bytes = Buffer.from(data, "base64");
  if (use === "events") return events(new Uint8Array(bytes));
  const number = String(++count);
  replies.set(number, bytes);
  let told = "";
  try {
    await Promise.race([outcome(use, number, port), hung()]);
  } catch (error) {
    const isOurs = error instanceof SaysoError || error?.name === "TimeoutError";
    if (!isOurs) told = String(error?.stack ?? error);
  }
  replies.delete(number);
  return { told: unhandled.pop() ?? told };
}

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  let last = Promise.resolve();
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const trying = tried(JSON.parse(line), port);
    last = last.then(async () => void process.stdout.write(`${JSON.stringify(await trying)}\n`));
  }).on("close", () => process.exit());
});
