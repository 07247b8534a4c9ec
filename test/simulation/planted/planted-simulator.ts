import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Plugin, rolldown } from "rolldown";
import type { Plant } from "./bugs.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

/**
 * Makes one file of the simulator and the client, with a bug planted into the client. It starts five times faster than their
 * sources.
 * @returns  The file's path in `folder`.
 * @throws A text that is to be replaced is not there exactly once.
 */
export async function plantedSimulator(plants: readonly Plant[], folder: string, name: string): Promise<string> {
  const path = join(folder, `${name}.mjs`);
  const bundle = await rolldown({ input: MAIN, platform: "node", plugins: [planting(plants)], logLevel: "silent" });
  await bundle.write({ file: path, format: "esm", codeSplitting: false });
  await bundle.close();
  return path;
}

function planting(plants: readonly Plant[]): Plugin {
  return {
    name: "planting",
    async load(id) {
      const planted = plants.filter(({ file }) => id.endsWith(`/src/${file}`));
      if (planted.length === 0) return null;
      let source = await readFile(id, "utf8");
      for (const { file, text, becomes } of planted) {
        if (source.split(text).length !== 2) throw new Error(`src/${file} does not have this text once: ${text}`);
        source = source.replace(text, () => becomes);
      }
      return source;
    },
  };
}
