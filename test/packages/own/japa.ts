import assert from "node:assert/strict";
import { after, afterEach, before, it } from "node:test";

/** The members of Japa that the suites of bentocache and verrou call, as tests of node:test. */
export const japaAssert = {
  equal: (value: unknown, expected: unknown) => assert.equal(value, expected),
  notEqual: (value: unknown, other: unknown) => assert.notEqual(value, other),
  deepEqual: (value: unknown, expected: unknown) => assert.deepEqual(value, expected),
  isTrue: (value: unknown) => assert.equal(value, true),
  isFalse: (value: unknown) => assert.equal(value, false),
  isUndefined: (value: unknown) => assert.equal(value, undefined),
  isString: (value: unknown) => assert.equal(typeof value, "string"),
  rejects: async (body: () => Promise<unknown>, expected?: string) => {
    const error = await body().then(
      () => assert.fail("it should have rejected"),
      (reason: Error) => reason,
    );
    if (expected !== undefined) assert.equal(error.message, expected);
  },
};

interface Given {
  readonly assert: typeof japaAssert;
  cleanup(end: () => unknown): void;
}

export function japaTest(title: string, body: (given: Given) => unknown): Chained {
  let throwsAny = false;
  it(title, async () => {
    const ends: (() => unknown)[] = [];
    const run = async () => body({ assert: japaAssert, cleanup: (end) => ends.push(end) });
    if (throwsAny) await assert.rejects(run());
    else await run();
    for (const end of ends.reverse()) await end();
  });
  const chained: Chained = {
    throws: () => {
      throwsAny = true;
      return chained;
    },
    timeout: () => chained,
    disableTimeout: () => chained,
    waitForDone: () => chained,
    retry: () => chained,
  };
  return chained;
}

/** What follows the call of `test`. */
interface Chained {
  throws(): Chained;
  timeout(): Chained;
  disableTimeout(): Chained;
  waitForDone(): Chained;
  retry(): Chained;
}

export const japaGroup = {
  setup: (begin: () => Promise<undefined | (() => unknown)>) => {
    let end: undefined | (() => unknown);
    before(async () => {
      end = await begin();
    });
    after(() => end?.());
  },
  teardown: (end: () => unknown) => after(() => end() as Promise<void>),
  tap: () => {},
  each: {
    setup: (begin: () => unknown) => it.bind(undefined, begin as never),
    teardown: (end: () => unknown) => afterEach(() => end() as Promise<void>),
    timeout: () => {},
  },
};
