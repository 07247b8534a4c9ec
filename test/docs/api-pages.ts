import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/*
 * npm run docs: pages of everything that is public, from the docstrings, in `.docs`. Fails for a link that leads nowhere
 * and for what has no docstring. typedoc and the TypeScript that it needs are dependencies of this command alone, so they
 * are installed when it runs.
 */
const folder = fileURLToPath(new URL("pages/", import.meta.url));
const typedoc = `${folder}node_modules/typedoc/`;
const { dependencies } = JSON.parse(readFileSync(`${folder}package.json`, "utf8"));
const isThere =
  existsSync(`${typedoc}package.json`) &&
  JSON.parse(readFileSync(`${typedoc}package.json`, "utf8")).version === dependencies.typedoc;
if (!isThere) execFileSync("npm", ["ci", "--ignore-scripts"], { cwd: folder, stdio: "inherit" });
try {
  execFileSync(process.execPath, [`${typedoc}bin/typedoc`], { cwd: folder, stdio: "inherit" });
} catch {
  // It has said what is wrong.
  process.exitCode = 1;
}
