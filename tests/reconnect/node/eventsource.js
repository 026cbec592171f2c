/** The package `eventsource`, by default settings: it reconnects and resumes by itself. */

import { EventSource } from "eventsource";
import { key, path, told, url } from "./told.js";

const source = new EventSource(`${url}/events${path}?token=${key}`);
source.onmessage = (message) => told(JSON.parse(message.data));
