// Reads an AsyncAPI document with the specification's own parser. Says what is wrong with it, and exits with 1, or what
// it has understood, as JSON.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const WARNING = 1; // diagnostics of a higher number are advice

const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
const faults = diagnostics.filter((one) => one.severity <= WARNING && !["asyncapi-3-tags", "asyncapi-info-contact"].includes(one.code));
for (const { code, path, message } of faults) {
  console.error(`${path.join("/")}: ${message} (${code})`);
}
if (faults.length || !document) {
  process.exit(1);
}
const operations = document.operations().all().map((operation) => ({
  name: operation.id(),
  action: operation.action(),
  channels: operation.channels().all().map((channel) => channel.address()),
  messages: operation.messages().all().map((message) => message.payload().title()),
  reply: operation.reply()?.messages().all().map((message) => message.payload().title()) ?? [],
}));
console.log(JSON.stringify(operations));
