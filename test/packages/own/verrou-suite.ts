import { after, afterEach, describe } from "node:test";
import { redisStore } from "@verrou/core/drivers/redis";
import { registerStoreTestSuite } from "@verrou/core/test_suite";
import { japaGroup, japaTest } from "./japa.ts";

const { pointedClient } = globalThis as unknown as { pointedClient(): never };
const connection = pointedClient() as { del(...keys: string[]): Promise<number>; disconnect(): void };

describe("@verrou/core/test_suite", () => {
  after(() => connection.disconnect());
  afterEach(async () => {
    for (const key of ["foo", "foo1", "foo2"]) await connection.del(key);
  });
  registerStoreTestSuite({
    test: japaTest as never,
    group: japaGroup as never,
    createStore: () => redisStore({ connection: connection as never }).factory(),
  } as never);
});
