import { readdirSync } from "node:fs";

/* The scripted tests in one process, one file after the other: they would spend more time on starting than on running. */
const folder = new URL("scripted/", import.meta.url);
for (const name of readdirSync(folder).sort()) {
  if (name.endsWith(".test.ts")) await import(new URL(name, folder).href);
}
