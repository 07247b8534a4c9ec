import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  png: "image/png",
};
/** All files of the page are in one folder, so a name with a slash, or with dots that lead upwards, is none of them. */
const NAME = /^[a-z0-9][a-z0-9-]*\.(html|css|js|svg|png)$/;
/** Where the page's files are: in the sources beside this file, in the package beside the command line's one file. */
const FOLDERS = ["./page/", "./web/page/", "../cli/web/page/"];

/** A file of the page. */
export interface PageFile {
  readonly type: string;
  readonly content: Buffer;
}

/** A file of the page by its name; `""` is the page itself. Undefined if there is no such file. */
export async function pageFile(name: string): Promise<PageFile | undefined> {
  const file = name === "" ? "index.html" : name;
  const type = TYPES[NAME.exec(file)?.[1] ?? ""];
  if (type === undefined) return undefined;
  const content = await readFile(fileURLToPath(new URL(file, folder()))).catch(() => undefined);
  return content && { type, content };
}

let found: URL | undefined;

/** @throws {Error} The package has lost its files. */
export function folder(): URL {
  found ??= FOLDERS.map((path) => new URL(path, import.meta.url)).find((url) => {
    try {
      return readFileSync(new URL("index.html", url)).length > 0;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error("the files of the page are missing from the package.");
  return found;
}
