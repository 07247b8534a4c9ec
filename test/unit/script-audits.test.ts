import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { ScriptAudits } from "../../src/client/script-audits.ts";
import { encodeCommand } from "../../src/protocol/encode.ts";
import type { ClusterNode } from "../../src/routing/cluster-node.ts";
import { Delivery, type DeliveryTerms } from "../../src/scripts/delivery.ts";
import type { Loadable } from "../../src/scripts/loadable.ts";
import { LoadedScripts } from "../../src/scripts/loaded-scripts.ts";
import { defineScript } from "../../src/scripts/script.ts";
import { ScriptRegistry } from "../../src/scripts/script-registry.ts";
import { Turns } from "../../src/scripts/turns.ts";
import type { AuditReason } from "../../src/telemetry/channels.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { StandInConnection } from "../support/stand-in-connection.ts";

describe("audits of 10,000 scripts", () => {
  const registry = new ScriptRegistry();
  for (let index = 0; index < 10_000; index++) {
    registry.keep(defineScript({ name: `s${index}`, source: `return ${index}` }));
  }
  let clock: FakeClock;
  let questions: { readonly at: number; readonly bytes: number; readonly count: number }[];
  let audits: ScriptAudits;

  beforeEach(() => {
    clock = new FakeClock();
    questions = [];
    const scripts = new LoadedScripts(registry);
    const connection = new StandInConnection(async (shas) => {
      const { length } = encodeCommand(["SCRIPT", "EXISTS", ...shas]);
      questions.push({ at: clock.time, bytes: length, count: shas.length });
      return shas.map(() => 1);
    });
    const bring = (wanted: readonly Loadable[], why: AuditReason, pause: DeliveryTerms["pause"]) =>
      new Delivery(connection.asConnection, scripts, new Turns(clock), { why, pause }).bring(wanted);
    const node = { pool: { ready: true, firstTry: Promise.resolve() }, loader: { bring } } as unknown as ClusterNode;
    audits = new ScriptAudits(
      clock,
      () => [node],
      () => registry.wanted,
    );
  });

  async function pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 10) {
      clock.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it("send a node at most 50 KB in any second, however often they are wanted, and ask about every script", async () => {
    for (let second = 0; second < 30; second++) {
      audits.atRefresh();
      audits.soon();
      await pass(1000);
    }
    for (const { at } of questions) {
      const bytes = questions
        .filter((each) => each.at >= at && each.at < at + 1000)
        .reduce((sum, each) => sum + each.bytes, 0);
      assert.ok(bytes <= 50_000, `${bytes} bytes from ${at} ms on`);
    }
    const asked = questions.reduce((sum, { count }) => sum + count, 0);
    assert.ok(asked >= 20_000, `${asked} questions in 30 s`);
  });

  it("follow each other when something is found missing meanwhile", async () => {
    audits.atRefresh();
    await pass(5000);
    audits.soon();
    await pass(6000);
    assert.ok(questions.reduce((sum, { count }) => sum + count, 0) > 10_000);
    await pass(12_000);
    assert.equal(
      questions.reduce((sum, { count }) => sum + count, 0),
      20_000,
    );
  });
});
