/** Builds the inbox into the server's package. `--check` compares with what is there, byte for byte, and fails on a difference. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, mkdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

const TARGET = new URL("../../src/sayso/server/inbox/built/", import.meta.url);
const MOST = 60_000;
/** Bytes of scripts and styles, compressed. */

/** @param {Uint8Array | string} data */
const versionOf = (data) => createHash("sha256").update(data).digest("hex").slice(0, 12);

/** @param {Uint8Array} data */
const zipped = (data) => gzipSync(data, { level: 9 }).length;

const styles = {
  name: "styles",
  setup(/** @type {any} */ made) {
    made.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const folder = new URL(".", `file://${path}`);
      const whole = readFileSync(path, "utf8").replace(/@import "(.*?)";/g, (_, name) => readFileSync(new URL(name, folder), "utf8"));
      const { code } = await transform(whole, { loader: "css", minify: true, target: ["chrome123", "firefox121", "safari17.5"] });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

/** Of marked only the reader: what makes HTML of it is left out of the bundle, for size and so that it cannot be called. */
const reader = {
  name: "reader",
  setup(/** @type {any} */ made) {
    made.onLoad({ filter: /marked\.esm\.js$/ }, ({ path }) => {
      const [before, rest = ""] = readFileSync(path, "utf8").split(/var \w+=new \w+;function (?=\w+\(\w+,\w+\)\{return \w+\.parse\()/);
      const [, lexer] = /[{,](\w+) as Lexer\b/.exec(rest) ?? [];
      if (!before || !lexer) throw new Error("marked is not as it was; see how to take its Lexer alone");
      return { contents: `${before}export{${lexer} as Lexer};`, loader: "js" };
    });
  },
};

const { dependencies } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
/** Packages that are built in, as far as they were met. */
const met = new Set();

/** @param {string} entry @param {Record<string, string>} define */
async function script(entry, define) {
  const { outputFiles, metafile } = await build({
    entryPoints: [new URL(entry, import.meta.url).pathname],
    absWorkingDir: new URL(".", import.meta.url).pathname,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    charset: "utf8",
    plugins: [styles, reader],
    define,
    write: false,
    metafile: true,
  });
  for (const path of Object.keys(metafile.inputs)) {
    const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
    if (name) met.add(name);
  }
  return outputFiles[0].contents;
}

const worker = await script("src/worker.js", {});
const push = await script("src/push.js", {});
const page = await script("src/element.js", { "globalThis.SAYSO_WORKER": JSON.stringify(`worker.js?v=${versionOf(worker)}`) });
const html = readFileSync(new URL("src/index.html", import.meta.url), "utf8").replace("VERSION", versionOf(page));
const assets = new URL("assets/", import.meta.url);
/** @type {Map<string, Uint8Array>} */
const files = new Map([
  ["index.html", new TextEncoder().encode(html)],
  ["sayso-inbox.js", page],
  ["worker.js", worker],
  ["push.js", push],
  ...readdirSync(assets).map((name) => /** @type {[string, Uint8Array]} */ ([name, readFileSync(new URL(name, assets))])),
]);

const said = Object.keys(dependencies);
if (met.size !== said.length || !said.every((name) => met.has(name))) {
  // A release lists them as what is shipped.
  throw new Error(`package.json says that ${said.join(", ")} are built in; it is ${[...met].join(", ")}`);
}
const size = zipped(page) + zipped(worker); // `push` comes later, and only to a device that is to be notified
if (size > MOST) throw new Error(`${size} bytes compressed are more than ${MOST}`);
if (process.argv.includes("--check")) {
  const there = new Set(readdirSync(TARGET));
  const differing = [...files].filter(([name, data]) => !there.delete(name) || Buffer.compare(data, readFileSync(new URL(name, TARGET))) !== 0).map(([name]) => name);
  if (differing.length || there.size) {
    console.error(`Built files differ from their sources: ${[...differing, ...there].join(", ")}. Run: npm run build --prefix clients/inbox`);
    process.exit(1);
  }
} else {
  rmSync(TARGET, { recursive: true, force: true });
  mkdirSync(TARGET, { recursive: true });
  for (const [name, data] of files) writeFileSync(new URL(name, TARGET), data);
}
console.log(`inbox: ${size} bytes compressed (page ${zipped(page)}, worker ${zipped(worker)}, push ${zipped(push)})`);
