import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Cluster, Script } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { scriptFolder } from "../support/script-folder.ts";
import { blocksOf } from "./blocks.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const slotwire = pathToFileURL(join(root, "src", "index.ts")).href;

/** What the recipe defines. */
interface Recipe {
  readonly cached: ReadonlyMap<string, unknown>;
  readonly saveProduct: Script;
  readonly product: (id: string) => Promise<string | null>;
}

describe("the recipe of cache invalidation", () => {
  const folder = scriptFolder({});
  let local: LocalCluster;
  let cluster: Cluster;
  let recipe: Recipe;
  before(async () => {
    local = await startCluster({ primaries: 3, tls: false });
    process.env.SLOTWIRE_DOCS_NODES = local.nodes.join(",");
    const given = pathToFileURL(join(root, "test", "docs", "given.ts")).href;
    cluster = (await import(given)).cluster;
    const block = blocksOf(readFileSync(join(root, "README.md"), "utf8")).find(({ code }) =>
      code.includes("saveProduct"),
    );
    const code = block?.code.replaceAll('"slotwire"', JSON.stringify(slotwire)) ?? "";
    const file = join(folder, "recipe.mts");
    writeFileSync(file, `import { cluster } from "${given}";\n${code}\nexport { cached, product, saveProduct };\n`);
    recipe = await import(pathToFileURL(file).href);
  });
  after(async () => {
    cluster?.destroy();
    await local?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** How many calls `what` makes. */
  const calls = async (what: () => Promise<unknown>) => {
    const before = cluster.metrics().counters.calls;
    await what();
    return cluster.metrics().counters.calls - before;
  };
  const save = (value: string) => cluster.run(recipe.saveProduct, ["product:7"], [value, "7"]);
  const killSubscribers = () =>
    Promise.all(local.nodes.map((address) => local.command(address, "CLIENT", "KILL", "TYPE", "pubsub")));
  const isCached = () => eventually(async () => assert.equal(await calls(() => recipe.product("7")), 0));

  it("reads from memory until another service changes the value", async () => {
    await isCached();
    await save("green");
    await eventually(async () => assert.equal(await recipe.product("7"), "green"));
    await isCached();
  });

  it("drops everything at a gap, and keeps values again after it", async () => {
    await recipe.product("7");
    assert.equal(recipe.cached.size > 0, true, "something is cached");
    const gaps = () => cluster.metrics().counters.gaps["connection-lost"] ?? 0;
    const before = gaps();
    await killSubscribers();
    await eventually(() => assert.equal(gaps() > before, true));
    await eventually(() => assert.equal(recipe.cached.size, 0));
    await isCached();
  });

  it("keeps nothing while nobody hears of changes", async () => {
    for (const address of local.nodes) await local.command(address, "ACL", "SETUSER", "default", "resetchannels");
    await killSubscribers();
    await eventually(() => assert.equal(recipe.cached.size, 0));
    assert.equal(await calls(() => Promise.all([recipe.product("7"), recipe.product("7")])), 2);
    assert.equal(recipe.cached.size, 0);
  });
});
