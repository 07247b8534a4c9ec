import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/*
 * Installs the packages that are tried on slotwire/ioredis, in this folder: they are no dependencies of slotwire, so that
 * its own installation stays small. Nothing is done when what the lock file names is installed already.
 */
const MOST_MS = 300_000;
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const lock = here("package-lock.json");
const installed = here("node_modules/.installed-lock.json");

if (!existsSync(installed) || readFileSync(installed, "utf8") !== readFileSync(lock, "utf8")) {
  const options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  execFileSync("npm", ["ci", ...options], { cwd: here("."), stdio: "inherit", timeout: MOST_MS });
  copyFileSync(lock, installed);
}
