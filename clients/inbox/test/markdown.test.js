import assert from "node:assert/strict";
import test from "node:test";
import { markdown } from "../src/markdown.js";
import { pieces, plainLine } from "../src/visible.js";

const flat = (nodes) => nodes.flatMap((node) => (typeof node === "string" ? [node] : [node, ...flat(node.children)]));
const words = (nodes) => flat(nodes).filter((node) => typeof node === "string").join("");
const tags = (nodes) => flat(nodes).filter((node) => typeof node !== "string").map(({ tag }) => tag);

test("markdown becomes a tree of harmless elements", () => {
  const nodes = markdown("# A\n\nb **c** _d_ ~~e~~ `f`\n\n1. x\n2. y\n\n> q\n\n---\n\n| h |\n|--:|\n| v |\n\n```js\n1\n```");
  assert.deepEqual([...new Set(tags(nodes))], ["h3", "p", "strong", "em", "del", "code", "ol", "li", "blockquote", "hr", "table", "thead", "tr", "th", "tbody", "td", "code-block"]);
});

test("HTML is shown as it is written, also where it stands within a line", () => {
  for (const text of ["<script>alert(1)</script>", "a <img src=x onerror=y> b", "<!-- c -->"]) {
    const nodes = markdown(text);
    assert.ok(tags(nodes).every((tag) => ["p", "source"].includes(tag)), tags(nodes).join());
    assert.equal(words(nodes), text);
  }
});

test("a link is followed only to https, without a user, and says its host in plain letters", () => {
  const link = (text) => flat(markdown(text)).find((node) => ["a", "no-link"].includes(node.tag));
  assert.deepEqual([link("[a](https://b.example/c?d#e)").href, link("[a](https://b.example/c)").host], ["https://b.example/c?d#e", "b.example"]);
  assert.equal(link("[a](https://\u0430pple.com)").host, "xn--pple-43d.com");
  for (const address of ["http://b.example", "javascript:alert(1)", "JaVaScRiPt&colon;alert(1)", "data:text/html,x", "//b.example", "/requests", "https://bank.example@evil.example/", "mailto:a@b.example"]) {
    assert.equal(link(`[a](<${address}>)`).tag, "no-link", address);
  }
});

test("a picture is named and never loaded", () => {
  const nodes = markdown("![a cat](https://evil.example/cat.png)");
  assert.deepEqual(tags(nodes), ["p", "picture-link", "a"]);
});

test("entities are characters, once", () => {
  assert.equal(words(markdown("&lt;b&gt; &amp;lt; &#65;&#x42; &#0; &#xd800; &unknown;")), "<b> &lt; AB \ufffd \ufffd &unknown;");
});

test("a text that is too deep or too long is shown as it is written", () => {
  for (const text of [`${"> ".repeat(60)}x`, `${"- ".repeat(60)}x`, `${"[".repeat(20_000)}x`, "*_".repeat(5_000), ">".repeat(30_000), "x".repeat(200_000)]) {
    const nodes = markdown(text);
    assert.ok(words(nodes).length > 0);
    const depth = (node) => (typeof node === "string" ? 0 : 1 + Math.max(0, ...node.children.map(depth)));
    assert.ok(Math.max(...nodes.map(depth)) < 60);
  }
});

test("what would not be seen has a name, and nothing else is touched", () => {
  assert.deepEqual(pieces("a\u202eb"), ["a", { name: "RLO" }, "b"]);
  assert.deepEqual(pieces("\u200b\ufeff"), [{ name: "ZWSP" }, { name: "BOM" }]);
  assert.deepEqual(pieces("\u{e0041}"), [{ name: "U+E0041" }]);
  for (const text of ["plain\ttext\n", "æøå 漢字 العربية עברית", "a\r\nb", "👩‍💻 👨‍👩‍👧", ""]) assert.equal(pieces(text).join(""), text);
  assert.equal(plainLine("  a\u202e\n b "), "a[RLO] b");
});
