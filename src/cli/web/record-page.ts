import { readdirSync, readFileSync } from "node:fs";
import type { StudyEvent } from "../study/events.ts";
import { folder } from "./page-files.ts";
import type { Hello } from "./protocol.ts";

/** Scripts and styles are in the file itself; it loads nothing from anywhere. */
const POLICY = "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src data:";

/**
 * The page with a record in it, as one HTML file that needs no server. The page's modules are in an import map, each as a
 * `data:` URL under a name in place of its path, because such a module has no place that a path could begin at.
 */
export function recordPage(hello: Hello, events: readonly StudyEvent[]): string {
  const from = folder();
  const read = (name: string) => readFileSync(new URL(name, from), "utf8");
  const modules = readdirSync(from).filter((name) => name.endsWith(".js"));
  const imports = Object.fromEntries(modules.map((name) => [`page/${name}`, dataUrl(withNames(read(name)))]));
  const policy = `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`;
  const map = `<script type="importmap">${inScript(JSON.stringify({ imports }))}</script>`;
  const record = `<script type="application/json" id="record">${inScript(JSON.stringify({ hello, events }))}</script>`;
  // A replacement is a function, because a text would be searched for `$`.
  return read("index.html")
    .replace(/<meta charset="utf-8">/, (found) => found + policy)
    .replace(/<link rel="stylesheet" href="([\w-]+\.css)">/g, (_, name) => `<style>${read(name)}</style>`)
    .replace(/<script type="module" src="([\w-]+\.js)"><\/script>/g, (_, name) => {
      return `${map}${record}<script type="module">import "page/${name}";</script>`;
    });
}

/** The module with names of modules in place of their paths. */
function withNames(source: string): string {
  return source.replace(/\b(from|import)(\s*)(["'])\.\/([\w-]+\.js)\3/g, "$1$2$3page/$4$3");
}

function dataUrl(source: string): string {
  return `data:text/javascript;base64,${Buffer.from(source).toString("base64")}`;
}

/** JSON that cannot end the element that it is in. */
function inScript(json: string): string {
  return json.replaceAll("<", "\\u003c");
}
