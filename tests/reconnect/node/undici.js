/**
 * `fetch` of the package `undici` with the stream parser of `eventsource-parser`, in a loop that reconnects with the cursor.
 * (undici has an EventSource of its own, marked experimental; after a connection that breaks in mid-body it stays silent.)
 */

import { setTimeout as sleep } from "node:timers/promises";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { fetch } from "undici";
import { key, path, told, url } from "./told.js";

const headers = { Authorization: `Bearer ${key}` };

for (;;) {
  try {
    const { body } = await fetch(`${url}/events${path}`, { headers });
    for await (const { id, data } of body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())) {
      headers["Last-Event-ID"] = id;
      told(JSON.parse(data));
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // how fetch tells of a broken connection
  }
  await sleep(100);
}
