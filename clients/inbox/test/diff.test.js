import assert from "node:assert/strict";
import test from "node:test";
import { diff, hasChanges } from "../src/diff.js";

const before = (parts) => parts.filter(({ kind }) => kind !== "added").map(({ text }) => text).join("");
const after = (parts) => parts.filter(({ kind }) => kind !== "removed").map(({ text }) => text).join("");
const kinds = (parts, kind) => parts.filter((part) => part.kind === kind).map(({ text }) => text);

test("equal texts have no change", () => {
  assert.deepEqual(diff("a\nb", "a\nb"), [{ kind: "same", text: "a\nb" }]);
  assert.equal(hasChanges(diff("", "")), false);
});

test("within a changed line, the words that changed are told", () => {
  const parts = diff("The price is 120.5 today.\nBye", "The price is 60.25 now.\nBye");
  assert.deepEqual(kinds(parts, "removed"), ["120.5", "today"]);
  assert.deepEqual(kinds(parts, "added"), ["60.25", "now"]);
});

test("lines that have nothing in common are told whole", () => {
  assert.deepEqual(diff("alpha beta\nsame\n", "one two three\nsame\n"), [
    { kind: "removed", text: "alpha beta\n" },
    { kind: "added", text: "one two three\n" },
    { kind: "same", text: "same\n" },
  ]);
});

test("whatever the texts are, both can be read back from their parts", () => {
  let seed = 7;
  const random = (most) => (seed = (seed * 16807) % 2147483647) % most;
  const words = ["a", "b", " ", "\n", "cc", "é", "🙂", ".", ""];
  for (let round = 0; round < 500; round += 1) {
    const [one, other] = [0, 1].map(() => Array.from({ length: random(40) }, () => words[random(words.length)]).join(""));
    const parts = diff(one, other);
    assert.equal(before(parts), one);
    assert.equal(after(parts), other);
    for (let at = 1; at < parts.length; at += 1) assert.notEqual(parts[at].kind, parts[at - 1].kind);
  }
});

test("texts that are too long to compare are told whole, at once", () => {
  const [one, other] = ["x", "y"].map((sign) => Array.from({ length: 30_000 }, (_, line) => `${sign}${line}\n`).join(""));
  assert.deepEqual(diff(one, other).map(({ kind }) => kind), ["removed", "added"]);
});
