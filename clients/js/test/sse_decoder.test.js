import assert from "node:assert/strict";
import test from "node:test";

import { SSEDecoder } from "../src/sse_decoder.js";

const bytes = (text) => new TextEncoder().encode(text);
const decoded = (chunks, id) => {
  const decoder = new SSEDecoder(id);
  return chunks.flatMap((chunk) => decoder.decode(chunk));
};
const data = (text) => decoded([bytes(text)]).map((event) => event.data);

const STREAM =
  "\uFEFF: heartbeat\n\n" +
  "id: 1\ndata: first\n\n" +
  "data: später 日本 🚢\r\ndata:two\r\n\r\n" +
  "id: 2\revent: note\rdata\r\r" +
  ": only a comment\n\nid: 3\n\nunknown: x\nretry: 5\n\n" +
  "data: \uFEFF kept\n\n" +
  "id: 4\ndata: cut off";
const EVENTS = [
  { id: "1", event: "message", data: "first" },
  { id: "1", event: "message", data: "später 日本 🚢\ntwo" },
  { id: "2", event: "note", data: "" },
  { id: "3", event: "message", data: "\uFEFF kept" },
];

test("a stream means the same wherever its chunks are cut", () => {
  const whole = bytes(STREAM);
  for (let one = 0; one <= whole.length; one++) {
    assert.deepEqual(decoded([whole.subarray(0, one), whole.subarray(one)]), EVENTS, `cut at ${one}`);
    for (let other = one; other <= Math.min(one + 6, whole.length); other++) {
      const chunks = [whole.subarray(0, one), whole.subarray(one, other), whole.subarray(other)];
      assert.deepEqual(decoded(chunks), EVENTS, `cut at ${one} and ${other}`);
    }
  }
});

test("a stream means the same byte by byte", () => {
  assert.deepEqual(decoded(Array.from(bytes(STREAM), (byte) => Uint8Array.of(byte))), EVENTS);
});

test("CR, LF and CR LF end a line, and a CR LF ends only one", () => {
  for (const end of ["\r", "\n", "\r\n"]) {
    assert.deepEqual(data(`data: a${end}data: b${end}${end}data: c${end}${end}`), ["a\nb", "c"], JSON.stringify(end));
  }
  assert.deepEqual(data("data: a\r\ndata: b\n\n"), ["a\nb"]);
});

test("one space after the colon is no part of the value", () => {
  assert.deepEqual(data("data:a\n\ndata: b\n\ndata:  c\n\ndata: d: e\n\n"), ["a", "b", " c", "d: e"]);
});

test("characters that only Python takes for line ends are kept", () => {
  assert.deepEqual(data("data: a\u2028b\u0085c\vd\n\n"), ["a\u2028b\u0085c\vd"]);
});

test("an id holds until the next one, may be emptied, and is not taken when it holds NUL", () => {
  const ids = decoded([bytes("data: a\n\nid: 7\ndata: b\n\nid: \0\ndata: c\n\nid\ndata: d\n\n")], "5").map(({ id }) => id);
  assert.deepEqual(ids, ["5", "7", "7", ""]);
});

test("what the stream ends in the middle of is no event", () => {
  assert.deepEqual(data("data: a\n\ndata: b\n"), ["a"]);
});

test("a long line in many chunks takes time in proportion", () => {
  const decoder = new SSEDecoder();
  const part = bytes("x".repeat(1000));
  decoder.decode(bytes("data: "));
  for (let n = 0; n < 12_000; n++) decoder.decode(part);
  assert.equal(decoder.decode(bytes("\n\n"))[0].data.length, 12_000_000);
});
