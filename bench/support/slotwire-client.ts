import { LOAD_KEYS, LOAD_SCRIPT, LOAD_VALUE, type LoadClient } from "./load-script.ts";

/** The built client, as users get it, and not the source. */
export async function slotwireClient(nodes: readonly string[]): Promise<LoadClient> {
  const built = new URL("../../dist/index.js", import.meta.url).href;
  const { connect, defineScript } = (await import(built)) as typeof import("../../src/index.ts");
  const script = defineScript({ name: "set", source: LOAD_SCRIPT, numberOfKeys: 1 });
  const cluster = await connect({ nodes, scripts: [script] });
  return {
    call: (index) => cluster.run(script, [LOAD_KEYS[index % LOAD_KEYS.length] as string], [LOAD_VALUE]),
    close: () => cluster.close(),
  };
}
