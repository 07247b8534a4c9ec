import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { CallFacts } from "../../src/cli/web/page/reduce-calls.js";
import { Cluster } from "../../src/cluster/cluster.ts";
import { connectIn } from "../../src/cluster/connect.ts";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import { slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { FactsCheck } from "../support/facts-check.ts";
import { incrScript } from "../support/scripts.ts";

const NAME = "studied";

/**
 * What a client tells of itself, reduced to facts, beside what the servers say. In each turn in which something is told,
 * the facts are compared with what the client believes and with every byte that goes over its connections, too.
 */
describe("the facts of a record", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let told: FactsCheck;
  const living = new Set<string>();

  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    for (const address of cluster.nodes) living.add(address);
    told = new FactsCheck(() => performance.now(), true);
    const environment = { ...nodeEnvironment, open: told.open(nodeEnvironment.open) };
    client = await connectIn(environment, {
      ...cluster.connectOptions,
      scripts: [incrScript],
      connectionName: NAME,
      topologyRefreshInterval: 0,
    });
    told.attach(Cluster.clientOf(client));
  });
  after(async () => {
    client?.destroy();
    told?.stop();
    await cluster?.stop();
  });

  const ownerOf = (slot: number) => client.topology.primaryOf(slot)?.address as string;
  const ask = (address: string, ...words: (string | number)[]) => cluster.command(address, ...words);
  /** The call that settled last. */
  const last = () => told.facts.settled.at(-1) as CallFacts;
  const hops = ({ attempts }: CallFacts) => attempts.map(({ address, answer }) => [address, answer?.kind]);

  /** The facts, beside the servers' words: slots and roles, scripts, connections, and how often each got the script. */
  async function compare(): Promise<void> {
    const { facts } = told;
    const [one] = living;
    const slots = (await ask(one as string, "CLUSTER", "SLOTS")) as [number, number, [string, number], ...unknown[]][];
    const ranges = slots.map(([start, end, [host, port]]) => ({ start, end, address: `${host}:${port}` }));
    assert.deepEqual(owners(facts.topology.ranges), owners(ranges), "slots have the owners that CLUSTER SLOTS says");
    for (const address of living) {
      const [exists] = (await ask(address, "SCRIPT", "EXISTS", incrScript.sha)) as [number];
      const state = facts.scripts[address]?.[incrScript.sha]?.state;
      assert.equal(state === "held", exists === 1, `${address} is believed to hold the script, and says ${exists}`);
      const open = Object.values(facts.connections).filter((each) => each.isOpen && each.address === address);
      const clients = String(await ask(address, "CLIENT", "LIST")).match(new RegExp(`\\bname=${NAME}\\b`, "g")) ?? [];
      assert.equal(open.length, clients.length, `connections to ${address}`);
      const [role] = (await ask(address, "ROLE")) as [string];
      const node = facts.topology.nodes.find((each) => each.address === address);
      assert.equal(node?.role === "primary", role === "master", `the role of ${address}`);
      assert.equal(writtenTo(address, "EVALSHA"), await got(address, "evalsha"), `EVALSHAs that ${address} got`);
    }
    assert.deepEqual(told.broken, []);
  }

  /** How often a command was told as written to a node. */
  function writtenTo(address: string, command: string): number {
    const queued = new Set(
      told.events.flatMap((event) =>
        event.type === "queued" && event.command === command ? `${event.call} ${event.attempt}` : [],
      ),
    );
    return told.events.filter(
      (event) => event.type === "written" && event.address === address && queued.has(`${event.call} ${event.attempt}`),
    ).length;
  }

  /** How often a node got a command, by its own count, those that it refused included. */
  async function got(address: string, command: string): Promise<number> {
    const info = String(await ask(address, "INFO", "commandstats"));
    const fields = new RegExp(`^cmdstat_${command}:(.*)$`, "m").exec(info)?.[1] ?? "";
    const number = (name: string) => Number(new RegExp(`\\b${name}=(\\d+)`).exec(fields)?.[1] ?? 0);
    return number("calls") + number("rejected_calls");
  }

  const settle = () => eventually(compare, 20_000);

  it("are those of the servers when the client is connected", settle);

  it("follow a MOVED", async () => {
    const slot = slotOf("f:1");
    const from = ownerOf(slot);
    const to = [...living].find((address) => isPrimary(address) && address !== from) as string;
    await client.run(incrScript, ["f:1"]);
    await cluster.moveSlots({ slots: [slot], to });
    await client.run(incrScript, ["f:1"]);
    assert.deepEqual(hops(last()), [
      [from, "MOVED"],
      [to, "reply"],
    ]);
    assert.deepEqual(
      last().decisions.map(({ row }) => row),
      ["moved-known"],
    );
    await settle();
  });

  it("follow an ASK and a TRYAGAIN", async () => {
    const slot = slotOf("{f:2}");
    const from = ownerOf(slot);
    const to = [...living].find((address) => isPrimary(address) && address !== from) as string;
    await client.command("SET", "{f:2}here", "1");
    const [fromId, toId] = [String(await ask(from, "CLUSTER", "MYID")), String(await ask(to, "CLUSTER", "MYID"))];
    await ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
    await ask(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
    await client.run(incrScript, ["{f:2}there"]);
    assert.deepEqual(hops(last()), [
      [from, "ASK"],
      [to, "reply"],
    ]);
    assert.equal(last().attempts[1]?.asking, true);
    await settle();
    await assert.rejects(client.with({ timeout: 100 }).command("MGET", "{f:2}here", "{f:2}there"), /TRYAGAIN/);
    const refused = last();
    assert.equal(refused.end?.code, "DEADLINE");
    const written = refused.attempts.filter(({ writtenAt }) => writtenAt !== null).length;
    assert.ok(written > 1, "it was sent again");
    assert.equal(await got(from, "mget"), written, "MGETs that the owner got");
    for (const { row, backoffMs } of refused.decisions) {
      assert.equal(row, "tryagain");
      assert.equal(typeof backoffMs, "number");
    }
    await ask(from, "MIGRATE", ...(to.split(":") as [string, string]), "{f:2}here", 0, 5000);
    for (const address of [to, from, ...[...living].filter((each) => isPrimary(each))]) {
      await ask(address, "CLUSTER", "SETSLOT", slot, "NODE", toId);
    }
    await client.refreshTopology();
    await settle();
  });

  it("follow a flush: a call brings the script to one node, and an audit to the others", async () => {
    await cluster.flushScripts();
    await client.run(incrScript, ["f:3"]);
    assert.deepEqual(
      last().attempts.map(({ answer, loadBytes }) => [answer?.kind, loadBytes > 0]),
      [
        ["NOSCRIPT", false],
        ["reply", true],
      ],
    );
    const reasons = () =>
      new Set(told.events.flatMap((event) => (event.type === "load" ? `${event.why} at ${event.address}` : [])));
    await eventually(() => {
      for (const address of living) {
        if (address !== ownerOf(slotOf("f:3"))) assert.ok(reasons().has(`audit at ${address}`), address);
      }
    });
    assert.ok(reasons().has(`noscript at ${ownerOf(slotOf("f:3"))}`), "the call's own load");
    await settle();
  });

  it("follow a failover, and tell the topology in front of what follows from it", async () => {
    const slot = slotOf("f:4");
    const from = ownerOf(slot);
    const replica = client.topology.replicasOf(slot)[0]?.address as string;
    await cluster.failover(replica);
    await eventually(async () => {
      await client.run(incrScript, ["f:4"]);
      assert.equal(last().attempts.at(-1)?.address, replica);
    });
    await client.refreshTopology();
    const moved = told.events.findIndex(
      (event) =>
        event.type === "topology" &&
        event.moved.some(({ to, start, end }) => to === replica && start <= slot && slot <= end),
    );
    const sent = told.events.findIndex((event) => event.type === "queued" && event.address === replica);
    assert.ok(moved !== -1 && moved < sent, `the change is event ${moved}, and the first attempt is ${sent}`);
    assert.notEqual(from, replica);
    await settle();
  });

  it("follow the death of a primary: calls wait for it, and few bytes are written to it", async () => {
    const slot = slotOf("f:5");
    const owner = ownerOf(slot);
    const begun = told.events.length;
    await cluster.kill(owner);
    living.delete(owner);
    const calls = Array.from({ length: 20 }, () => client.with({ timeout: 300 }).run(incrScript, ["f:5"]));
    await Promise.allSettled(calls);
    const since = told.events.slice(begun);
    const at = (type: "queued" | "written") => since.filter((event) => event.type === type && event.address === owner);
    assert.ok(at("queued").length >= 20, "they were meant for it");
    const end = since.findIndex((event) => event.type === "disconnected" && event.address === owner);
    assert.ok(end !== -1, "the end of its connection is told");
    assert.deepEqual(
      since.slice(end).filter((event) => event.type === "written" && event.address === owner),
      [],
      "nothing is written to a node that is dead",
    );
    assert.equal(
      Object.values(told.facts.connections).some(({ address, isOpen }) => isOpen && address === owner),
      false,
    );
    assert.ok(told.facts.failures[owner] !== undefined, "why it cannot be reached");
    await eventually(async () => {
      await client.run(incrScript, ["f:5"]);
    }, 30_000);
    await client.refreshTopology();
    await settle();
  });

  function isPrimary(address: string): boolean {
    return client.topology.nodes.some((node) => node.address === address && node.role === "primary");
  }
});

/** The owner of each slot. */
function owners(
  ranges: readonly { readonly start: number; readonly end: number; readonly address: string }[],
): string[] {
  const all = new Array<string>(16384).fill("");
  for (const { start, end, address } of ranges) all.fill(address, start, end + 1);
  return all;
}
