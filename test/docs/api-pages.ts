import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * npm run docs: the guides as pages, and pages of everything that is public, from the docstrings, in `.docs`. Fails for a
 * link that leads nowhere and for a public name without a docstring. `-- --out FOLDER` writes them elsewhere.
 * typedoc and the TypeScript that it needs are dependencies of this command alone, so they are installed when it runs.
 */
const options = process.argv
  .slice(2)
  .map((word, index, words) => (words[index - 1] === "--out" ? resolve(word) : word));
const folder = fileURLToPath(new URL("pages/", import.meta.url));
const typedoc = `${folder}node_modules/typedoc/`;
const { dependencies } = JSON.parse(readFileSync(`${folder}package.json`, "utf8"));
const isThere =
  existsSync(`${typedoc}package.json`) &&
  JSON.parse(readFileSync(`${typedoc}package.json`, "utf8")).version === dependencies.typedoc;
if (!isThere) execFileSync("npm", ["ci", "--ignore-scripts"], { cwd: folder, stdio: "inherit" });
try {
  execFileSync(process.execPath, [`${typedoc}bin/typedoc`, ...options], { cwd: folder, stdio: "inherit" });
} catch {
  // It has said what is wrong.
  process.exitCode = 1;
}
