import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { LocalCluster } from "../../src/testing/index.ts";

/** What the clients of these tests are called on the server. */
export const CLIENT_NAME = "blocking-test";

/** Lines of CLIENT LIST of the tests' clients that wait for something on the node at `address`. */
export async function blockedOn(cluster: LocalCluster, address: string): Promise<string[]> {
  const list = String(await cluster.command(address, "CLIENT", "LIST"));
  return list.split("\n").filter((line) => line.includes(`name=${CLIENT_NAME}`) && / flags=\S*b/.test(line));
}

/** Resolves when so many wait there. `addressOf` is asked each time. */
export async function untilBlocked(cluster: LocalCluster, addressOf: () => string, count: number): Promise<void> {
  for (let tries = 0; (await blockedOn(cluster, addressOf())).length !== count; tries++) {
    assert.ok(tries < 2000, `${count} clients are blocked`);
    await sleep(5);
  }
}
