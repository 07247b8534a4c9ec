import { pathToFileURL } from "node:url";
import { cluster, takeShown } from "./given.ts";

/*
 * Runs the files that are named, one after the other, each on an empty cluster without scripts, and prints a line of JSON
 * for each: how many of its results it reached and found true, or why it failed.
 */
for (const path of process.argv.slice(2)) {
  await cluster.command("FLUSHALL");
  await cluster.command("SCRIPT", "FLUSH");
  let failure: string | undefined;
  try {
    await import(pathToFileURL(path).href);
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  process.stdout.write(`${JSON.stringify({ path, results: takeShown(), failure })}\n`);
}
await cluster.close();
