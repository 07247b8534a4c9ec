import { BATCH, LOAD_KEYS, LOAD_SCRIPT, LOAD_VALUE, type LoadClient } from "./load-script.ts";

/** The built client, as users get it, and not the source. */
export async function slotwireClient(nodes: readonly string[]): Promise<LoadClient> {
  const built = new URL("../../dist/index.js", import.meta.url).href;
  const { connect, defineScript } = (await import(built)) as typeof import("../../src/index.ts");
  const script = defineScript({ name: "set", source: LOAD_SCRIPT, numberOfKeys: 1 });
  const cluster = await connect({ nodes, scripts: [script] });
  const batched = LOAD_KEYS.slice(0, BATCH);
  return {
    call: (index) => cluster.run(script, [LOAD_KEYS[index % LOAD_KEYS.length] as string], [LOAD_VALUE]),
    batch: async () => {
      const batch = cluster.batch();
      for (const key of batched) batch.run(script, [key], [LOAD_VALUE]);
      for (const reply of await batch.exec()) if (reply !== "OK") throw reply;
    },
    close: () => cluster.close(),
  };
}
