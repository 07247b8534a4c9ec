import { readFileSync, writeFileSync } from "node:fs";
import { startCluster } from "../../src/testing/index.ts";
import { explainedBlocks, withBlocks } from "./explained-blocks.ts";

/* npm run docs:explained: makes the calls of the guide on a real cluster, and writes what explain says of them into it. */
const page = new URL("../../src/HOW-A-CLUSTER-CLIENT-WORKS.md", import.meta.url);
await using cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, tls: false });
writeFileSync(page, withBlocks(readFileSync(page, "utf8"), await explainedBlocks(cluster)));
