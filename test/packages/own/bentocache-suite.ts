import { describe } from "node:test";
import { RedisDriver } from "bentocache/drivers/redis";
import { registerCacheDriverTestSuite } from "bentocache/test_suite";
import { japaGroup, japaTest } from "./japa.ts";

const { pointedClient } = globalThis as unknown as { pointedClient(): never };

describe("bentocache/test_suite", () => {
  registerCacheDriverTestSuite({
    test: japaTest as never,
    group: japaGroup as never,
    createDriver: (options: object) => new RedisDriver({ prefix: "japa", connection: pointedClient(), ...options }),
    supportsMilliseconds: true,
  } as never);
});
