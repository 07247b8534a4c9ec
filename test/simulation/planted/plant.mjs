/*
 * Plants a bug into the client: `node --import ./plant.mjs --import tsx ...` with PLANT naming a file of src, the text
 * that is replaced, and what by. It goes in front of tsx, so that the text is the source's own; a text that is not there
 * exactly once is an error.
 */
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

const plants = JSON.parse(process.env.PLANT);

export async function load(url, context, nextLoad) {
  const planted = plants.filter(({ file }) => url.split("?")[0].endsWith(`/src/${file}`));
  if (planted.length === 0) return nextLoad(url, context);
  let source = await readFile(new URL(url), "utf8");
  for (const { file, text, becomes } of planted) {
    if (source.split(text).length !== 2) throw new Error(`src/${file} does not have this text once: ${text}`);
    source = source.replace(text, () => becomes);
  }
  return { format: "module", source, shortCircuit: true };
}

if (isMainThread) register(import.meta.url);
