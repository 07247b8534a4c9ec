import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Connection } from "../../src/connection/connection.ts";
import type { Lane } from "../../src/connection/lane.ts";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Request } from "../../src/connection/request.ts";
import { ConnectionLostError, ReplyError } from "../../src/errors.ts";
import { Delivery } from "../../src/scripts/delivery.ts";
import { LoadedScripts } from "../../src/scripts/loaded-scripts.ts";
import { defineScript } from "../../src/scripts/script.ts";
import { ScriptLoader } from "../../src/scripts/script-loader.ts";
import { ScriptRegistry } from "../../src/scripts/script-registry.ts";
import { Turns } from "../../src/scripts/turns.ts";
import { settingsOn } from "../support/connection-settings.ts";
import { FakeWire } from "../support/fake-wire.ts";
import { StandInConnection } from "../support/stand-in-connection.ts";

async function turn(): Promise<void> {
  for (let count = 0; count < 5; count++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A loader of a node to which no lane is connected yet. */
function loaderOf(registry: ScriptRegistry, scripts = new LoadedScripts(registry)): ScriptLoader {
  const settings = settingsOn(new FakeWire(), { environment: nodeEnvironment });
  return new ScriptLoader({
    scripts,
    registry,
    turns: new Turns(nodeEnvironment.clock),
    settings: () => settings,
    lane: () => undefined,
    onBrought: () => {},
    onStranger: () => {},
  });
}

describe("preparing a fresh connection", () => {
  let registry: ScriptRegistry;
  let scripts: LoadedScripts;
  let loader: ScriptLoader;
  const definitions = [1, 2, 3].map((number) => defineScript({ name: `s${number}`, source: `return ${number}` }));
  const [one, two, three] = definitions.map(({ sha }) => sha) as [string, string, string];

  beforeEach(() => {
    registry = new ScriptRegistry();
    for (const definition of definitions) registry.register(definition);
    scripts = new LoadedScripts(registry);
    loader = loaderOf(registry, scripts);
  });

  const deliver = (connection: Connection, lane: Lane) =>
    new Delivery(connection, scripts, new Turns(nodeEnvironment.clock), { lane }).bring(registry.all);
  const holding = (...held: string[]) =>
    new StandInConnection(async (shas) => shas.map((sha) => (held.includes(sha as string) ? 1 : 0)));
  const states = () => registry.all.map((script) => scripts.stateOf(script)?.kind);
  const framesOf = (...shas: string[]) => shas.map((sha) => registry.get(sha)?.loadFrame);
  const answerAll = (connection: StandInConnection) => {
    for (const load of connection.loads.splice(0)) {
      load.onReply(registry.all.find(({ loadFrame }) => loadFrame === load.frame)?.sha as string);
    }
  };

  it("asks once for all scripts and loads those that are missing, and no other", async () => {
    const connection = holding(two);
    const prepared = loader.prepare(connection.asConnection);
    await turn();
    assert.deepEqual(connection.asked, [["SCRIPT", "EXISTS", one, two, three]]);
    assert.deepEqual(
      connection.loads.map(({ frame }) => frame),
      framesOf(one, three),
    );
    answerAll(connection);
    await prepared;
    assert.deepEqual(states(), ["held", "held", "held"]);
  });

  it("writes nothing more when the node has them all", async () => {
    const connection = holding(one, two, three);
    await loader.prepare(connection.asConnection);
    assert.deepEqual(connection.loads, []);
    assert.deepEqual(states(), ["held", "held", "held"]);
  });

  it("asks nothing when no script is registered", async () => {
    const connection = holding();
    await loaderOf(new ScriptRegistry()).prepare(connection.asConnection);
    assert.deepEqual(connection.asked, []);
  });

  it("loads again what it believed to be there and is not (the server was restarted)", async () => {
    await loader.prepare(holding(one, two, three).asConnection);
    const restarted = holding();
    const prepared = loader.prepare(restarted.asConnection);
    await turn();
    assert.equal(restarted.loads.length, 3);
    answerAll(restarted);
    await prepared;
  });

  it("loads them all when it may not ask", async () => {
    const connection = new StandInConnection(async () => {
      throw new ReplyError("NOPERM User alice has no permissions to run the 'script|exists' command");
    });
    const prepared = loader.prepare(connection.asConnection);
    await turn();
    assert.equal(connection.loads.length, 3);
    answerAll(connection);
    await prepared;
  });

  it("resolves when a script fails, and knows which one and why", async () => {
    const connection = holding(one, two);
    const prepared = loader.prepare(connection.asConnection);
    await turn();
    connection.loads[0]?.onErrorReply("ERR no");
    await prepared;
    assert.deepEqual(states(), ["held", "held", "failed"]);
  });

  it("rejects when the connection goes before the answer", async () => {
    const gone = new ConnectionLostError("10.0.0.1:7000", "unknown");
    const connection = new StandInConnection(() => Promise.reject(gone));
    await assert.rejects(loader.prepare(connection.asConnection), (error: unknown) => error === gone);
  });

  it("rejects when the connection goes before the loads are written", async () => {
    const connection = holding();
    connection.closed = true;
    await assert.rejects(loader.prepare(connection.asConnection), ConnectionLostError);
  });

  it("includes scripts that are registered meanwhile", async () => {
    const late = defineScript({ name: "late", source: "return 'late'" });
    const connection = new StandInConnection(async (shas) => {
      registry.register(late);
      return shas.map((sha) => (sha === late.sha ? 0 : 1));
    });
    const prepared = loader.prepare(connection.asConnection);
    await turn();
    assert.deepEqual(connection.asked.at(-1), ["SCRIPT", "EXISTS", late.sha]);
    answerAll(connection);
    await prepared;
    assert.equal(states().at(-1), "held");
  });

  it("ends where a script is registered again and again: such a script is loaded with its call", async () => {
    let count = 0;
    const connection = new StandInConnection(async (shas) => {
      count++;
      registry.register(defineScript({ name: `late ${count}`, source: `return 'late ${count}'` }));
      return shas.map(() => 1);
    });
    await loader.prepare(connection.asConnection);
    assert.ok(count > 1 && count < 10, `asked ${count} times`);
    assert.deepEqual(states().slice(0, 4), ["held", "held", "held", "held"]);
    const [last] = registry.all.slice(-1);
    assert.ok(last !== undefined && scripts.needsLoad(last));
  });

  it("is done once for lanes that come up together, and anew for one that comes later", async () => {
    const [first, second, later] = [holding(one, two, three), holding(one, two, three), holding(one, two, three)];
    await Promise.all([loader.prepare(first.asConnection), loader.prepare(second.asConnection)]);
    assert.deepEqual([first.asked.length, second.asked.length], [1, 0]);
    await loader.prepare(later.asConnection);
    assert.equal(later.asked.length, 1);
  });

  it("is done by the next lane when the first one's connection goes", async () => {
    const first = new StandInConnection(() => Promise.reject(new ConnectionLostError("10.0.0.1:7000", "unknown")));
    const second = holding(one, two, three);
    const [failed, done] = await Promise.allSettled([
      loader.prepare(first.asConnection),
      loader.prepare(second.asConnection),
    ]);
    assert.deepEqual([failed?.status, done?.status], ["rejected", "fulfilled"]);
    assert.deepEqual(states(), ["held", "held", "held"]);
  });

  it("leaves alone what was loaded after the question was asked", async () => {
    const pushed: Request[] = [];
    const push = (request: Request) => void pushed.push(request);
    const lane = { push, useConnection: () => {}, usage: { queued: 0 } } as unknown as Lane;
    const connection = holding();
    const [script, ...others] = registry.all;
    assert.ok(script && others.length === 2);
    const ensured = deliver(connection.asConnection, lane);
    void scripts.loadOn(lane, script);
    pushed[0]?.onReply(script.sha);
    await turn();
    assert.deepEqual(
      connection.loads.map(({ frame }) => frame),
      framesOf(two, three),
    );
    answerAll(connection);
    await ensured;
    assert.deepEqual(states(), ["held", "held", "held"]);
  });

  it("leaves alone what another lane was loading when the question was asked, and has loaded when it is answered", async () => {
    const pushed: Request[] = [];
    const other = { push: (request: Request) => void pushed.push(request) } as unknown as Lane;
    const push = () => assert.fail("it has nothing to load");
    const lane = { push, useConnection: () => {}, usage: { queued: 0 } } as unknown as Lane;
    const connection = holding(two, three);
    const [script] = registry.all;
    assert.ok(script);
    void scripts.loadOn(other, script);
    const ensured = deliver(connection.asConnection, lane);
    pushed[0]?.onReply(script.sha);
    await ensured;
    assert.deepEqual(connection.loads, []);
    assert.deepEqual(states(), ["held", "held", "held"]);
  });
});
