import type { LocalCluster } from "../../src/testing/index.ts";
import type { Claim } from "./summary.ts";

/** What concerns slotwire alone: many nodes, memory, recovery from a flush. */
export async function ofItsOwn(_: LocalCluster): Promise<Claim[]> {
  return [];
}
