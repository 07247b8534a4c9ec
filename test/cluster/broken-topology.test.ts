import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { ServerState } from "../../src/cli/study/events.ts";
import { surveyOf } from "../../src/cli/study/survey.ts";
import { slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { scriptFolder } from "../support/script-folder.ts";
import { optionsFor, slotwire } from "../support/slotwire-cli.ts";

/** The JSON of `slotwire topology`, as far as it is looked at here. */
interface Told {
  readonly ok: boolean;
  readonly trouble: string | null;
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string;
    readonly role: string;
    readonly unreachable: string | null;
    readonly refused: string | null;
    readonly state: string | null;
    readonly failBy: readonly string[];
    readonly pfailBy: readonly string[];
    readonly configEpoch: number | null;
    readonly slots: number;
  }[];
  readonly unserved: readonly { readonly start: number; readonly end: number; readonly why: string }[];
  readonly open: readonly { readonly slot: number; readonly state: string; readonly ends: unknown }[];
  readonly disagreements: readonly {
    readonly start: number;
    readonly end: number;
    readonly is: unknown;
    readonly says: readonly { readonly owner: string | null; readonly by: readonly string[] }[];
  }[];
  readonly unknown: readonly { readonly node: string; readonly to: readonly string[] }[];
}

describe("slotwire topology and slot -p at a cluster that is broken on purpose", () => {
  const folder = scriptFolder({});
  let cluster: LocalCluster;
  let where: string[];
  let nodes: Map<string, ServerState>;
  const at = (name: string) => nodes.get(name)?.address as string;
  const idOf = (name: string) => nodes.get(name)?.id as string;
  const tell = (name: string, ...args: (string | number)[]) => cluster.command(at(name), "CLUSTER", ...args);

  /** Runs the command both ways. Text and JSON have the same status and the same line on standard error. */
  async function told(expected: number, options = where): Promise<{ text: string; err: string; json: Told }> {
    const [plain, json] = await Promise.all([
      slotwire(["topology", ...options]),
      slotwire(["topology", ...options, "--json"]),
    ]);
    assert.equal(plain.status, expected, plain.out + plain.err);
    assert.equal(json.status, expected, json.out + json.err);
    assert.match(json.out, /^\{[^\n]*\}\n$/);
    const read = JSON.parse(json.out) as Told;
    assert.equal(read.ok, expected === 0);
    assert.equal(json.err, read.trouble === null ? "" : `slotwire: ${read.trouble}.\n`);
    assert.equal(plain.err, json.err);
    for (const line of plain.out.split("\n")) assert.ok([...line].length <= 80, line);
    return { text: plain.out, err: plain.err, json: read };
  }
  /** A text in which lines that were wrapped are whole again. */
  const whole = (text: string) => text.replace(/\s+/g, " ");

  before(async () => {
    // No node is to be taken for failed while others look at it.
    const args = ["--cluster-node-timeout", "30000"];
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args });
    where = optionsFor(cluster, folder);
    const { states } = await surveyOf(cluster.connectOptions);
    nodes = new Map(states.map((state) => [state.name, state]));
  });
  afterEach(() => {
    for (const node of cluster.nodes) cluster.resume(node);
  });
  after(() => cluster?.stop());

  it("a healthy one: status 0, names in the order of the slots, and every node asked", async () => {
    const { text, json } = await told(0);
    assert.match(
      text,
      /^3 primaries, 3 replicas; every slot is served\nEach node .*: all 6 answered, and they agree\.\n/,
    );
    for (const [name, { address }] of nodes) assert.match(text, new RegExp(`\n${name.padEnd(2)}  ${address} `));
    assert.deepEqual(
      json.nodes.map(({ name, role, slots, state, unreachable }) => [name, role, slots > 0, state, unreachable]),
      ["A", "A1", "B", "B1", "C", "C1"].map((name) => {
        return [name, name.length > 1 ? "replica" : "primary", name.length === 1, "ok", null];
      }),
    );
  });

  it("a slot that only its owner has open: status 1, with both names and the way out", async () => {
    await tell("A", "SETSLOT", 5, "MIGRATING", idOf("B"));
    const { text, err, json } = await told(1);
    assert.match(
      whole(text),
      /Open slots 5 A \(0 keys\) is migrating it to B, which is not importing it: .* --cluster fix \S+, or `settle SLOT`/,
    );
    assert.equal(err, "slotwire: the nodes disagree about the move of slot 5.\n");
    assert.deepEqual(json.open, [
      { slot: 5, owner: "A", ends: [{ node: "A", kind: "migrating", peer: "B", keys: 0 }], state: "one-end" },
    ]);
    await tell("A", "SETSLOT", 5, "STABLE");
    await told(0);
  });

  it("a slot that only the other node has open: status 1", async () => {
    await tell("B", "SETSLOT", 6, "IMPORTING", idOf("A"));
    const { text, json } = await told(1);
    assert.match(whole(text), /Open slots 6 B \(0 keys\) is importing it from A, which is not migrating it: /);
    assert.deepEqual(
      json.open.map(({ slot, state }) => [slot, state]),
      [[6, "one-end"]],
    );
    await tell("B", "SETSLOT", 6, "STABLE");
  });

  it("a slot that is half-way: told with the keys of both ends, and status 0, as its calls are served", async () => {
    const keys = ["{half}:1", "{half}:2", "{half}:3"];
    const slot = slotOf("{half}");
    const { json: healthy } = await told(0);
    const [from, to] = await ownerAndOther(slot);
    for (const key of keys) await cluster.command(at(from), "SET", key, "v");
    await tell(to, "SETSLOT", slot, "IMPORTING", idOf(from));
    await tell(from, "SETSLOT", slot, "MIGRATING", idOf(to));
    const [host, port] = at(to).split(":") as [string, string];
    if (!where.includes("--tls")) await cluster.command(at(from), "MIGRATE", host, port, keys[0] as string, 0, 5000);
    const counts = where.includes("--tls") ? [3, 0] : [2, 1];
    const { text, json } = await told(0);
    const keysText = (count: number | undefined) => (count === 1 ? "1 key" : `${count} keys`);
    const expected = `Open slots ${slot} half-way from ${from} (${keysText(counts[0])}) to ${to} (${keysText(counts[1])}); both know it`;
    assert.ok(whole(text).includes(expected), text);
    assert.deepEqual(json.open, [
      {
        slot,
        owner: from,
        ends: [
          { node: from, kind: "migrating", peer: to, keys: counts[0] },
          { node: to, kind: "importing", peer: from, keys: counts[1] },
        ].sort((one, other) => (one.node < other.node ? -1 : 1)),
        state: "both-ends",
      },
    ]);
    assert.equal(healthy.open.length, 0);
    const [plain, asJson] = await Promise.all([
      slotwire(["slot", ...where, "{half}:1", "{half}:2"]),
      slotwire(["slot", ...where, "{half}:1", "--json"]),
    ]);
    assert.deepEqual([plain.status, plain.err, asJson.status], [0, "", 0]);
    assert.ok(
      whole(plain.out).includes(
        `${slot} {half}:1 (tag half) owner ${from} at ${at(from)}, replica ${from}1 at ${at(`${from}1`)}`,
      ),
      plain.out,
    );
    assert.ok(whole(plain.out).includes(`half-way from ${from} (`), plain.out);
    const [owned] = JSON.parse(asJson.out);
    assert.deepEqual([owned.key, owned.slot, owned.tag, owned.problem], ["{half}:1", slot, "half", null]);
    assert.deepEqual(owned.owner, { name: from, address: at(from) });
    assert.deepEqual(owned.replicas, [{ name: `${from}1`, address: at(`${from}1`) }]);
    assert.deepEqual(
      owned.open.ends.map((end: { name: string; address: string }) => [end.name, end.address]).sort(),
      [from, to].map((name) => [name, at(name)]).sort(),
    );
    await tell(from, "SETSLOT", slot, "STABLE");
    await tell(to, "SETSLOT", slot, "STABLE");
  });

  it("slot without options for the connection asks nobody", async () => {
    const { status, out } = await slotwire(["slot", "foo", "--json"], { REDISCLI_AUTH: "unused" });
    assert.deepEqual([status, out], [0, '[{"key":"foo","slot":12182,"tag":null}]\n']);
    const nobody = await slotwire(["slot", "-p", "1", "foo"]);
    assert.deepEqual([nobody.status, nobody.out], [1, ""]);
    assert.match(nobody.err, /^slotwire: No node could be asked [^\n]*ECONNREFUSED[^\n]*\n$/);
  });

  it("views that contradict each other: who says what, with epochs, and status 1", async () => {
    // Nodes mend such a view when both owners say what they own. So one of them is frozen, and has the higher epoch.
    const [wrong, right] = [...nodes.values()]
      .filter(({ role }) => role === "primary")
      .sort((one, other) => (other.configEpoch as number) - (one.configEpoch as number));
    const teller = ["A", "B", "C"].find((name) => name !== wrong?.name && name !== right?.name) as string;
    const slot = right?.slots[0]?.start as number;
    cluster.pause(wrong?.address as string);
    await tell(teller, "SETSLOT", slot, "NODE", wrong?.id as string);
    const { text, err, json } = await told(1, optionsWithout(wrong?.name as string));
    assert.match(
      err,
      new RegExp(`^slotwire: \\d+ slots are not served; the nodes disagree about who owns slot ${slot}\\.\n$`),
    );
    const [found] = json.disagreements;
    assert.deepEqual([json.disagreements.length, found?.start, found?.end, found?.is], [1, slot, slot, right?.name]);
    // From Valkey 8 on, a primary hands SETSLOT on to its replicas.
    const tellers = found?.says[1]?.by ?? [];
    assert.ok(tellers.includes(teller) && tellers.every((name) => name[0] === teller), JSON.stringify(found?.says));
    const others = [...nodes.keys()].filter((name) => !tellers.includes(name) && name !== wrong?.name);
    assert.deepEqual(found?.says, [
      { owner: right?.name, by: others },
      { owner: wrong?.name, by: tellers },
    ]);
    const [one, other] = [right, wrong].map((node) => `${node?.name} \\(epoch ${node?.configEpoch}\\)`);
    assert.match(
      whole(text),
      new RegExp(`say ${one}; ${teller}.* says? ${other}; the owner is ${right?.name}, by its own`),
    );
    await tell(teller, "SETSLOT", slot, "NODE", right?.id as string);
    cluster.resume(wrong?.address as string);
    await eventually(
      async () => assert.equal((await surveyOf(cluster.connectOptions)).condition.trouble, null),
      30_000,
    );
  });

  it("a slot that was deleted at its owner: nobody's, not served, and status 1, for slot -p too", async () => {
    const slot = slotOf("foo");
    const [owner] = await ownerAndOther(slot);
    await tell(owner, "DELSLOTS", slot);
    const { text, json } = await told(1);
    assert.match(text, /\nnobody +1 +│/);
    assert.match(whole(text), new RegExp(`${slot} no node takes it for its own`));
    assert.ok(json.unserved.some(({ start, end, why }) => start === slot && end === slot && why === "no-owner"));
    const [lost, other] = await Promise.all([
      slotwire(["slot", ...where, "foo"]),
      slotwire(["slot", ...where, "foo", "--json"]),
    ]);
    assert.deepEqual([lost.status, lost.err], [1, `slotwire: slot ${slot} is not served.\n`]);
    assert.match(lost.out, /no node takes the slot for its own/);
    assert.deepEqual([other.status, JSON.parse(other.out)[0].owner], [1, null]);
    await tell(owner, "ADDSLOTS", slot);
    await eventually(
      async () => assert.equal((await surveyOf(cluster.connectOptions)).condition.trouble, null),
      20_000,
    );
    await told(0);
  });

  it("a frozen replica: told, and status 0; a frozen primary: not served, and status 1", async () => {
    cluster.pause(at("B1"));
    const replica = await told(0, optionsWithout("B1"));
    assert.match(
      whole(replica.text),
      /5 of 6 answered, and they agree\. .* not reachable from here: no answer within \d+ ms/,
    );
    cluster.resume(at("B1"));
    cluster.pause(at("B"));
    const primary = await told(1, optionsWithout("B"));
    assert.match(whole(primary.text), /Not served \S+ B (does not answer|has failed)/);
    assert.ok(["silent", "failed"].includes(primary.json.unserved[0]?.why as string));
    cluster.resume(at("B"));
    await eventually(
      async () => assert.equal((await surveyOf(cluster.connectOptions)).condition.trouble, null),
      30_000,
    );
  });

  it("a user who may not ask CLUSTER NODES is told so, and sees the slots", async (test) => {
    if (/ v=6\./.test(cluster.version)) return test.skip("servers before 7.0 have no rights for subcommands");
    for (const node of cluster.nodes) {
      await cluster.command(node, "ACL", "SETUSER", "ann", "on", ">geheim", "~*", "+@all", "-cluster|nodes");
    }
    const { text, json } = await told(0, [...where, "--user", "ann", "-a", "geheim"]);
    assert.match(whole(text), /CLUSTER NODES is refused, so its open slots and epochs are not known \(NOPERM/);
    assert.deepEqual(
      json.nodes.map(({ refused, configEpoch }) => [refused !== null, configEpoch]),
      new Array(6).fill([true, null]),
    );
    assert.ok(json.nodes.every(({ slots, role }) => slots > 0 === (role === "primary")));
  });

  // The last one, because it takes servers more than a minute to forget that they have forgotten.
  it("a node that another one has forgotten: status 1", async () => {
    // From Redis 7.2 and Valkey 8 on, the nodes hand the word on, so nobody but C1 itself knows that it is there.
    await tell("A", "FORGET", idOf("C1"));
    const { text, err, json } = await told(1, [...where, ...["-p", at("C1").split(":")[1] as string]]);
    assert.match(whole(text), /all 6 answered, and they disagree\. .*The nodes disagree C1 A.* not know it/);
    assert.match(err, /^slotwire: A.* (does|do) not know C1\.\n$/);
    assert.equal(json.unknown[0]?.node, "C1");
    assert.ok(json.unknown[0]?.to.includes("A"));
  });

  /** The names of a slot's owner and of another primary. */
  async function ownerAndOther(slot: number): Promise<[string, string]> {
    const { condition } = await surveyOf(cluster.connectOptions);
    const owner = condition.ranges.find(({ start, end }) => start <= slot && slot <= end)?.owner as string;
    return [owner, ["A", "B", "C"].find((name) => name !== owner) as string];
  }

  /** Options that lead to a node that is not `name`. */
  function optionsWithout(name: string): string[] {
    const other = cluster.nodes.find((address) => address !== at(name)) as string;
    return ["-h", other.split(":")[0] as string, "-p", other.split(":")[1] as string, ...where.slice(4)];
  }
});

describe("slotwire topology while primaries die", () => {
  const folder = scriptFolder({});
  const args = ["--cluster-node-timeout", "1000"];

  it("one without a replica: failed by the word of the others, who refuse calls", async () => {
    const cluster = await startCluster({ primaries: 3, args });
    try {
      const { states } = await surveyOf(cluster.connectOptions);
      await cluster.kill(states[0]?.address as string);
      const where = optionsFor(cluster, folder);
      await eventually(async () => {
        const { out } = await slotwire(["topology", ...where, "--json"]);
        assert.equal(JSON.parse(out).trouble, "no slot is served");
      }, 30_000);
      const { status, out } = await slotwire(["topology", ...where]);
      assert.equal(status, 1);
      assert.match(out, /^3 primaries \(1 failed\), 0 replicas; 16384 of 16384 slots are not served\n/);
      assert.match(out, /\n +FAIL by B and C\n/);
      assert.match(out.replace(/\s+/g, " "), /A has failed, and no replica can take over .*B and C answer CLUSTERDOWN/);
    } finally {
      await cluster.stop();
    }
  });

  it("one with a replica: served again, the dead one is told, and status 0", async () => {
    const cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args });
    try {
      const { states } = await surveyOf(cluster.connectOptions);
      const dead = states.find(({ name }) => name === "A")?.address as string;
      const heir = states.find(({ name }) => name === "A1")?.address as string;
      await cluster.kill(dead);
      const where = optionsFor(cluster, folder);
      const told = await eventually(async () => {
        const outcome = await slotwire(["topology", ...where]);
        assert.equal(outcome.status, 0, outcome.out + outcome.err);
        return outcome.out;
      }, 40_000);
      assert.match(
        told,
        /^4 primaries \(1 failed\), 2 replicas; every slot is served\nEach node .*: 5 of 6 answered, and they agree\.\n/,
      );
      assert.match(told, new RegExp(`\nA +${heir} `));
      assert.match(told.replace(/\s+/g, " "), new RegExp(`D ${dead} 0 │ *│ no slots FAIL by A, `));
    } finally {
      await cluster.stop();
    }
  });
});
