import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Lane } from "../../src/connection/lane.ts";
import type { Request } from "../../src/connection/request.ts";
import { LoadedScripts } from "../../src/scripts/loaded-scripts.ts";
import { defineScript, type Script } from "../../src/scripts/script.ts";
import { type RegisteredScript, ScriptRegistry } from "../../src/scripts/script-registry.ts";

const MOST = 1000;

/** Takes requests, and lets the test answer them. */
class StandInLane {
  readonly pushed: Request[] = [];
  push(request: Request): void {
    this.pushed.push(request);
  }
  get asLane(): Lane {
    return this as unknown as Lane;
  }
}

let count = 0;
/** A script that no other test has. */
const fresh = (): Script => {
  const name = `script-${count++}`;
  return defineScript({ name, source: `return '${name}'` });
};

describe("scripts that were not preloaded", () => {
  let registry: ScriptRegistry;
  let node: LoadedScripts;
  let lane: StandInLane;
  let warnings: Error[];
  beforeEach((t) => {
    registry = new ScriptRegistry();
    node = new LoadedScripts(registry);
    lane = new StandInLane();
    warnings = [];
    const emitWarning = process.emitWarning;
    const noted = (text: string, name: string) => void warnings.push(Object.assign(new Error(text), { name }));
    process.emitWarning = noted as typeof emitWarning;
    if ("after" in t) t.after(() => Object.assign(process, { emitWarning }));
  });

  const registerMany = (many: number): RegisteredScript[] =>
    Array.from({ length: many }, () => registry.register(fresh()));
  /** Loads a script, as a call of it does. */
  const load = (script: RegisteredScript): void => {
    void node.loadOn(lane.asLane, script);
    lane.pushed.at(-1)?.onReply(script.sha);
  };

  describe("in the registry", () => {
    it("stay until a thousand others were registered after them", () => {
      const oldest = registry.register(fresh());
      const others = registerMany(MOST - 1);
      assert.deepEqual([oldest.isRegistered, registry.all.length, warnings.length], [true, MOST, 0]);
      registerMany(1);
      assert.deepEqual([oldest.isRegistered, registry.get(oldest.sha), registry.all.length], [false, undefined, MOST]);
      assert.ok(others.every(({ isRegistered }) => isRegistered));
    });

    it("stay longer when they are registered again: the one that was left alone longest goes", () => {
      const used = fresh();
      const first = registry.register(used);
      const [second] = registerMany(MOST - 1);
      assert.equal(registry.register(used), first);
      registerMany(1);
      assert.deepEqual([first.isRegistered, second?.isRegistered], [true, false]);
    });

    it("stay as long as they are run, however many others pass", () => {
      const hot = registry.register(fresh());
      for (let other = 0; other < 3 * MOST; other++) {
        hot.wasUsed = true;
        registerMany(1);
      }
      assert.deepEqual([hot.isRegistered, registry.get(hot.sha) === hot, registry.all.length], [true, true, MOST]);
    });

    it("go when they were not run for longest", () => {
      const all = registerMany(MOST);
      // From here on, nobody counts as run but those that are run.
      registerMany(1);
      const idle = [all[7], all[300]];
      for (const each of all) each.wasUsed = !idle.includes(each);
      registerMany(2);
      const gone = all.slice(1).filter(({ isRegistered }) => !isRegistered);
      assert.deepEqual(gone, idle);
    });

    it("stay for good when they are preloaded, before or after they were run, and count no longer", () => {
      const [before, after] = [fresh(), fresh()];
      const kept = [registry.keep(before), registry.register(after)];
      assert.equal(registry.register(before), kept[0]);
      assert.equal(registry.keep(after), kept[1]);
      registerMany(3 * MOST);
      assert.ok(kept.every(({ isRegistered }) => isRegistered));
      assert.equal(registry.all.length, MOST + 2);
      assert.equal(registry.wanted.length, MOST + 2);
    });

    it("are registered anew when they are run again", () => {
      const script = fresh();
      const evicted = registry.register(script);
      load(evicted);
      registerMany(MOST);
      const again = registry.register(script);
      assert.notEqual(again, evicted);
      assert.deepEqual([again.isRegistered, evicted.isRegistered, again.sha], [true, false, evicted.sha]);
      assert.equal(node.needsLoad(again), true, "nobody knows whether the node still holds it");
    });

    it("use the places of evicted ones, each for itself", () => {
      registerMany(5 * MOST);
      const places = registry.all.map(({ index }) => index);
      assert.equal(new Set(places).size, MOST);
      assert.ok(Math.max(...places) <= MOST + 1 && Math.min(...places) >= 1);
    });

    it("bring one warning a client, with the remedy", () => {
      registerMany(3 * MOST);
      assert.equal(warnings.length, 1);
      assert.equal(warnings[0]?.name, "SlotwireWarning");
      assert.match(String(warnings[0]), /More than 1,000 scripts .* Define each script once, .* arguments/);
    });
  });

  describe("on a node", () => {
    let script: RegisteredScript;
    beforeEach(() => {
      script = registry.register(fresh());
    });
    /** Evicts `script`. The last script that is registered has its place. */
    const evict = (): RegisteredScript => registerMany(MOST + 1).at(-1) as RegisteredScript;

    it("leave no belief to the script that gets their place", () => {
      load(script);
      const { index } = script;
      const successor = evict();
      assert.equal(successor.index, index);
      assert.deepEqual([node.stateOf(successor), node.needsLoad(successor)], [undefined, true]);
    });

    it("are loaded and replayed for calls that are still under way, and say nothing of their successor", async () => {
      load(script);
      const [early, late] = [node.stamp, node.stamp];
      const successor = evict();
      const remedy = (stamp: number) => node.remedyFor(script, lane.asLane, stamp, false).kind;
      assert.deepEqual([node.stateOf(script)?.kind, node.needsLoad(script)], ["held", false]);
      assert.equal(remedy(early), "load", "the node forgot it");
      const loaded = node.loadOn(lane.asLane, script);
      assert.deepEqual([remedy(late), remedy(node.stamp)], ["replay", "load"]);
      lane.pushed.at(-1)?.onReply(script.sha);
      await loaded;
      assert.deepEqual([node.stateOf(script)?.kind, node.stateOf(successor)], ["held", undefined]);
      node.forgetScripts();
      assert.deepEqual([node.stateOf(script), node.needsLoad(script)], [undefined, true]);
    });

    it("finish loads that were under way when they were evicted", async () => {
      const loaded = node.loadNow(lane.asLane, script, "first-call");
      const successor = evict();
      lane.pushed.at(-1)?.onReply(script.sha);
      await loaded;
      assert.deepEqual([node.stateOf(script)?.kind, node.stateOf(successor)], ["held", undefined]);
    });

    it("are kept alive by nothing, once no call holds them", async () => {
      setFlagsFromString("--expose-gc");
      const collect = runInNewContext("gc") as () => void;
      const gone = [script, ...registerMany(MOST - 1)].map((each) => {
        load(each);
        return new WeakRef(each);
      });
      lane.pushed.splice(0);
      for (const each of registerMany(MOST)) load(each);
      lane.pushed.splice(0);
      script = registry.register(fresh());
      // A WeakRef holds its target until the end of the job that made it, and a compiler that works beside this thread holds
      // what it compiles for.
      const left = () => gone.filter((ref) => ref.deref() !== undefined).length;
      for (let turn = 0; turn < 100 && (turn === 0 || left() > 0); turn++) {
        await new Promise((resolve) => setTimeout(resolve, turn));
        collect();
      }
      assert.equal(left(), 0);
    });
  });

  it("let the beliefs of a node go that left the cluster", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const left = (() => new WeakRef(new LoadedScripts(registry)))();
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    assert.equal(left.deref(), undefined);
    registerMany(2 * MOST);
  });
});
