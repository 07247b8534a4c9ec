import { floorClient } from "../support/floor-client.ts";
import type { Peer } from "./client.ts";
import { KEYS, SPREAD_KEYS } from "./workload.ts";

const indexes = new Map(KEYS.map((key, index) => [key, index]));

/**
 * Raw sockets with commands that are encoded beforehand. It runs only the small writing script, and handles no errors.
 */
export const floor: Peer = {
  settings: "raw sockets, commands encoded beforehand, one write a tick and node, replies counted",
  async connect(nodes) {
    const client = await floorClient(nodes);
    return {
      run: async (_, key) => {
        await client.call(indexes.get(key) as number);
        return "OK";
      },
      async batch() {
        await Promise.all(SPREAD_KEYS.map((key) => client.call(indexes.get(key) as number)));
        return SPREAD_KEYS.map(() => "OK");
      },
      close: () => client.close(),
    };
  },
};
