import { readdirSync } from "node:fs";

/* The unit tests in one process: one for each file would take longer to start than its tests to run. */
const folder = new URL("unit/", import.meta.url);
for (const name of readdirSync(folder).sort()) {
  if (name.endsWith(".test.ts")) await import(new URL(name, folder).href);
}
