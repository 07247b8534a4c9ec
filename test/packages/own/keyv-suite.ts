import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, beforeEach, describe, it } from "node:test";
import KeyvValkey from "@keyv/valkey";
import { Keyv } from "keyv";

// The suite is written for AVA: these are the members of it that the suite calls.
const t = {
  true: (value: unknown, message?: string) => assert.equal(value, true, message),
  false: (value: unknown, message?: string) => assert.equal(value, false, message),
  is: (value: unknown, expected: unknown, message?: string) => assert.equal(Object.is(value, expected), true, message),
  not: (value: unknown, other: unknown) => assert.notEqual(value, other),
  deepEqual: (value: unknown, expected: unknown) => assert.deepEqual(value, expected),
  truthy: (value: unknown) => assert.equal(Boolean(value), true),
  falsy: (value: unknown) => assert.equal(Boolean(value), false),
  pass: () => {},
  fail: (message?: string) => assert.fail(message),
};
const ava = {
  after: { always: (body: () => Promise<void>) => after(body) },
  beforeEach: (body: () => Promise<void>) => beforeEach(body),
  serial: (title: string, body: (given: typeof t) => unknown) => it(title, () => body(t) as Promise<void>),
};

const { pointedClient } = globalThis as unknown as { pointedClient(): never };
const client = pointedClient();
// One client for all stores: the suite makes a store for each test, and ends none.
const store = () => new KeyvValkey(client, { useRedisSets: false });

type Tests = (test: typeof ava, keyv: typeof Keyv, makeStore: typeof store) => void;
const { default: keyvTestSuite } = createRequire(import.meta.url)("@keyv/test-suite") as { readonly default: Tests };

describe("@keyv/test-suite", () => {
  after(() => (client as { disconnect(): void }).disconnect());
  keyvTestSuite(ava, Keyv, store);
});
