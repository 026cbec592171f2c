/** The package `ws`, by default settings, in a loop that reconnects with the cursor. */

import WebSocket from "ws";
import { key, path, told, url } from "./told.js";

let cursor = "";

function connect() {
  const query = cursor && `?last_event_id=${cursor}`;
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws${path}${query}`, {
    headers: { Authorization: `Bearer ${key}` },
  });
  socket.on("message", (data) => {
    const event = JSON.parse(data);
    cursor = event.event_id;
    told(event);
  });
  socket.on("error", () => {}); // "close" follows
  socket.on("close", () => setTimeout(connect, 100));
}

connect();
