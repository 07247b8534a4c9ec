import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import { ConnectionLostError } from "../../src/errors.ts";
import { encodeCommand } from "../../src/protocol/encode.ts";
import { Delivery } from "../../src/scripts/delivery.ts";
import { LoadedScripts } from "../../src/scripts/loaded-scripts.ts";
import type { RegisteredScript } from "../../src/scripts/registered-script.ts";
import { defineScript } from "../../src/scripts/script.ts";
import { ScriptRegistry } from "../../src/scripts/script-registry.ts";
import { Turns } from "../../src/scripts/turns.ts";
import { StandInConnection } from "../support/stand-in-connection.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
async function turns(): Promise<void> {
  for (let count = 0; count < 20; count++) await turn();
}

describe("a delivery", () => {
  let registry: ScriptRegistry;
  let scripts: LoadedScripts;
  let connection: StandInConnection;
  let delivery: Delivery;

  beforeEach(() => {
    registry = new ScriptRegistry();
    scripts = new LoadedScripts(registry);
    connection = new StandInConnection(async (shas) => shas.map(() => 0));
    delivery = new Delivery(connection.asConnection, scripts, new Turns(nodeEnvironment.clock));
  });

  const register = (count: number, bytes = 20): RegisteredScript[] =>
    Array.from({ length: count }, (_, index) =>
      registry.keep(defineScript({ name: `s${index}`, source: `return ${index} --${"x".repeat(bytes)}` })),
    );
  const kinds = (items: readonly RegisteredScript[]) => items.map((item) => scripts.stateOf(item)?.kind);
  const answer = (count: number) => {
    for (const load of connection.loads.splice(0, count)) {
      load.onReply(registry.all.find(({ loadFrame }) => loadFrame === load.frame)?.sha as string);
    }
  };

  it("asks about many scripts in pieces, each of less than 13 KB, and about each once", async () => {
    const items = register(1000);
    connection.exists = async (shas) => shas.map(() => 1);
    await delivery.bring(items);
    for (const command of connection.asked) assert.ok(encodeCommand(command).length < 13_000);
    const asked = connection.asked.flatMap((command) => command.slice(2));
    assert.deepEqual(
      asked,
      items.map(({ sha }) => sha),
    );
    assert.deepEqual(new Set(kinds(items)), new Set(["held"]));
  });

  it("writes at most 128 loads before some are answered, and each once", async () => {
    const items = register(500);
    const brought = delivery.bring(items);
    const written: string[] = [];
    let isOver = false;
    void brought.then(() => {
      isOver = true;
    });
    while (!isOver) {
      await turns();
      assert.ok(connection.loads.length <= 128, `${connection.loads.length} loads are under way`);
      written.push(...connection.loads.map(({ frame }) => frame));
      answer(128);
      await turns();
    }
    assert.equal(written.length, 500);
    assert.equal(new Set(written).size, 500);
    assert.deepEqual(new Set(kinds(items)), new Set(["held"]));
  });

  it("writes at most 128 KiB before some are answered, or one load that is larger", async () => {
    const items = [...register(5, 50_000), registry.keep(defineScript({ name: "big", source: "-".repeat(200_000) }))];
    const brought = delivery.bring(items);
    for (const expected of [2, 2, 1, 1]) {
      await turns();
      assert.equal(connection.loads.length, expected);
      assert.ok(delivery.outstandingBytes < 128 * 1024 || expected === 1);
      answer(expected);
    }
    await brought;
  });

  it("lets calls bring what waits to be written, and does not send that again", async () => {
    const items = register(200);
    const brought = delivery.bring(items);
    await turns();
    const last = items[199] as RegisteredScript;
    assert.equal(scripts.needsLoad(last), true);
    scripts.loadByEval(undefined, last)("held");
    answer(128);
    await turns();
    assert.equal(connection.loads.length, 71);
    answer(71);
    await brought;
  });

  it("lets calls wait for what is large", async () => {
    const items = [...register(3, 100_000), registry.keep(defineScript({ name: "big", source: "-".repeat(300_000) }))];
    void delivery.bring(items).catch(() => {});
    await turns();
    assert.equal(connection.loads.length, 1);
    assert.deepEqual(kinds(items), ["loading", undefined, undefined, "loading"]);
  });

  it("leaves nothing under way when the connection is lost", async () => {
    const items = [...register(300), registry.keep(defineScript({ name: "big", source: "-".repeat(300_000) }))];
    const brought = assert.rejects(delivery.bring(items), ConnectionLostError);
    await turns();
    connection.closed = true;
    for (const load of connection.loads) load.onLost(new Error("gone"));
    await brought;
    assert.deepEqual(new Set(kinds(items)), new Set([undefined]));
  });

  it("leaves nothing under way when the connection is lost while it writes", async () => {
    const items = register(3);
    connection.writeFrom = () => {
      connection.closed = true;
    };
    await assert.rejects(delivery.bring(items), ConnectionLostError);
    assert.deepEqual(kinds(items), [undefined, undefined, undefined]);
  });
});

describe("the turns of the event loop", () => {
  it("are divided among pieces of work by their time", async () => {
    const shared = new Turns(nodeEnvironment.clock);
    let turnsPassed = 0;
    const count = () => {
      turnsPassed++;
      if (turnsPassed < 1000) setImmediate(count);
    };
    setImmediate(count);
    const work = () => {
      const end = performance.now() + 2;
      while (performance.now() < end);
      return turnsPassed;
    };
    const during = await Promise.all(Array.from({ length: 10 }, () => shared.run(work)));
    const most = Math.max(...during.map((each) => during.filter((other) => other === each).length));
    assert.ok(most <= 2, `${most} pieces of 2 ms in one turn: ${during}`);
    turnsPassed = 1000;
  });

  it("cost nothing while there is little work", async () => {
    let now = 0;
    // On the clock of a machine that did nothing else: a piece of work takes 20 us.
    const shared = new Turns({ ...nodeEnvironment.clock, now: () => (now += 0.01) });
    let isNextTurn = false;
    setImmediate(() => {
      isNextTurn = true;
    });
    for (let count = 0; count < 100; count++) await shared.run(() => {});
    assert.equal(isNextTurn, false);
  });
});
