import assert from "node:assert/strict";
import { existsSync, lstatSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { perform } from "../../src/cli/commands.ts";
import { columnsOf } from "../../src/cli/draw-text.ts";
import type { Explanation } from "../../src/cli/explanation.ts";
import { PLAIN, type Terminal } from "../../src/cli/terminal.ts";
import { connect, slotOf, type Topology } from "../../src/index.ts";
import { ROWS } from "../../src/routing/next-step-rows.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { scriptFolder } from "../support/script-folder.ts";
import { optionsFor } from "../support/slotwire-cli.ts";

const WIDTHS = [40, 80, 120];

/** What a command wrote, and how it failed. */
interface Shown {
  readonly out: string;
  readonly error: string | null;
}

/** Performs `slotwire explain` on a terminal of the given width. */
async function explainAt(width: number, args: readonly string[]): Promise<Shown> {
  let out = "";
  const terminal: Terminal = {
    width,
    paint: PLAIN,
    write: (text) => {
      out += text;
    },
    progress: () => {},
    warn: () => {},
  };
  try {
    out += await perform(["explain", ...args], terminal);
    return { out, error: null };
  } catch (error) {
    return { out, error: (error as Error).message };
  }
}

/** The text without the places where its lines were broken. */
const unbroken = (text: string) => text.replace(/\s+/g, "");
const has = (text: string, part: string) => unbroken(text).includes(unbroken(part));

/** Explains a call as JSON and at all widths, and holds what is true of every explanation. */
async function explained(args: readonly string[]): Promise<{ json: Explanation; texts: string[] }> {
  const [asJson, ...shown] = await Promise.all([
    explainAt(80, [...args, "--json"]),
    ...WIDTHS.map((width) => explainAt(width, args)),
  ]);
  const json = JSON.parse((asJson as Shown).out) as Explanation;
  for (const [index, { out, error }] of shown.entries()) {
    const width = WIDTHS[index] as number;
    for (const line of out.split("\n")) assert.ok(columnsOf(line) <= width, `${width} columns: ${line}`);
    assert.ok(!out.includes("…"), `something is cut:\n${out}`);
    const last = out.trimEnd().split("\n\n").at(-1) ?? "";
    if (error === null) assert.match(last, /^Reply, executed: /);
    else {
      assert.match(last, /^[A-Z_]+, (not-executed|unknown|executed): /);
      assert.ok(has(last, error), `the end leaves out the error's text, ${error}\n${last}`);
    }
  }
  const { end, hops, calls } = json;
  assert.equal(end.error === null, end.outcome === "executed" && json.error === null, "the end says how it ended");
  for (const { at, code, outcome } of calls) {
    assert.ok(at !== null && (code === null) === (outcome === null), "each call has an end");
  }
  for (const { at, writtenAt, answer, decisions } of hops) {
    if (writtenAt === null) assert.equal(answer, null, "what was not written has no answer");
    else assert.ok(writtenAt >= at && (answer === null || answer.at >= writtenAt), "times are in order");
    for (const { row } of decisions) assert.ok(row in ROWS, row);
  }
  return { json, texts: shown.map(({ out }) => out) };
}

const rowsOf = ({ hops }: Explanation) => hops.flatMap(({ decisions }) => decisions.map(({ row }) => row));
const outcomeAfter = ({ hops }: Explanation) => {
  const last = hops.at(-1);
  return last?.answer === null && last.writtenAt !== null ? "unknown" : "not-executed";
};
const kindsOf = ({ hops }: Explanation) => hops.map(({ answer }) => answer?.kind);

async function topologyOf(cluster: LocalCluster): Promise<Topology> {
  const client = await connect(cluster.connectOptions);
  client.destroy();
  return client.topology;
}

describe("slotwire explain at a real cluster", { concurrency: 3 }, () => {
  let cluster: LocalCluster;
  let topology: Topology;
  let where: string[];
  const folder = scriptFolder({
    "known.lua": "return {KEYS[1], ARGV[1]}",
    "moved.lua": "return 'moved'",
    "ask.lua": "return redis.call('set', KEYS[1], ARGV[1])",
    "missing.lua": "return redis.call('incr', KEYS[1])",
    "bytes.lua": "return {KEYS[1], ARGV[1], 'a secret reply'}",
  });
  const file = (name: string) => join(folder, name);
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    topology = await topologyOf(cluster);
    where = optionsFor(cluster, folder);
  });
  after(() => cluster?.stop());

  const nodesFor = (key: string) => {
    const owner = topology.primaryOf(slotOf(key))?.address as string;
    const others = topology.nodes.filter(({ address, role }) => role === "primary" && address !== owner);
    return { owner, other: others[0]?.address as string };
  };
  const begin = async (key: string, from: string, to: string) => {
    const [fromId, toId] = await Promise.all([from, to].map((node) => cluster.command(node, "CLUSTER", "MYID")));
    await cluster.command(to, "CLUSTER", "SETSLOT", slotOf(key), "IMPORTING", fromId as string);
    await cluster.command(from, "CLUSTER", "SETSLOT", slotOf(key), "MIGRATING", toId as string);
  };

  it("MOVED: the row, what was learned, and the owner as believed and as it is", async () => {
    const { owner, other } = nodesFor("moved");
    const { json, texts } = await explained(["--from", other, "--eval", file("moved.lua"), ...where, "moved"]);
    const [first, second, ...more] = json.hops;
    assert.deepEqual([first?.address, second?.address, more.length], [other, owner, 0]);
    assert.deepEqual([first?.answer?.kind, first?.answer?.to, second?.answer?.kind], ["MOVED", owner, "reply"]);
    assert.deepEqual(rowsOf(json), ["moved-known"]);
    const [{ spends, learned, when, redirections } = {} as never] = first?.decisions ?? [];
    assert.deepEqual([spends, learned, when, redirections], ["redirection", "slot-moved", "now", 1]);
    assert.deepEqual([json.owner, json.said.before?.owner, json.ownerAfter], [other, owner, owner]);
    assert.deepEqual([json.end.redirections, json.end.retries], [1, 0]);
    const name = json.names[owner] as string;
    for (const text of texts) {
      assert.ok(has(text, `really ${name} ${owner}`), text);
      assert.ok(has(text, "which the client was made to take for the owner"), text);
      assert.ok(
        has(text, `moved-known: MOVED to a listed node; next: ${name}, at once; spends redirection 1 of 16`),
        text,
      );
      assert.ok(has(text, `← MOVED ${slotOf("moved")} ${owner}`), text);
    }
  });

  it("NOSCRIPT: SCRIPT LOAD goes in front, in the same write", async () => {
    const { json } = await explained(["--preloaded", "--eval", file("missing.lua"), ...where, "missing:1"]);
    // One of the four calls finds the script missing on the node at the latest; the others may find it loaded.
    await cluster.flushScripts();
    const only = await explainAt(80, ["--preloaded", "--eval", file("missing.lua"), ...where, "missing:2"]);
    assert.ok(json.error === null && only.error === null, only.out);
    assert.match(only.out, / 1 ← NOSCRIPT No matching script\./);
    assert.ok(has(only.out, "behind SCRIPT LOAD; spends retry 1; learned: the node lost the script"), only.out);
    assert.match(only.out, / 2 → \w+ \S+ {2}SCRIPT LOAD \(\d+ bytes\),\s+EVALSHA \(\d+ bytes\)/);
    assert.match(only.out, /\nReply, executed: 2 attempts, 1 retry, [\d.]+ ms\n/);
  });

  it("ASK: the slot is half-way, by the servers' word, and the map stays as it is", async () => {
    const { owner, other } = nodesFor("ask");
    await begin("ask", owner, other);
    const { json, texts } = await explained(["--eval", file("ask.lua"), ...where, "ask", ",", "v"]);
    for (const node of [owner, other]) await cluster.command(node, "CLUSTER", "SETSLOT", slotOf("ask"), "STABLE");
    assert.deepEqual([rowsOf(json), kindsOf(json)], [["ask-known"], ["ASK", "reply"]]);
    assert.deepEqual([json.hops[0]?.answer?.to, json.hops[1]?.asking], [other, true]);
    assert.deepEqual([json.ownerAfter, json.said.after?.owner], [owner, owner]);
    const [to, from] = [json.names[other], json.names[owner]] as [string, string];
    assert.deepEqual(
      json.said.before?.open.toSorted((one, two) => (one.kind < two.kind ? -1 : 1)),
      [
        { address: other, kind: "importing", peer: from },
        { address: owner, kind: "migrating", peer: to },
      ],
    );
    for (const text of texts) {
      assert.ok(has(text, `${from} says that it is on its way to ${to}`), text);
      assert.ok(has(text, `ask-known: ASK to a listed node; next: ${to}, at once, behind ASKING`), text);
      assert.ok(!text.includes("Slot map:"), "ASK teaches nothing");
    }
  });

  it("TRYAGAIN: refusals are folded, and the deadline is the end", async () => {
    const keys = ["{try}a", "{try}b"] as const;
    const { owner, other } = nodesFor(keys[0]);
    await cluster.command(owner, "SET", keys[0], "1");
    await begin(keys[0], owner, other);
    const { json, texts } = await explained([...where, "MGET", ...keys]);
    for (const node of [owner, other]) await cluster.command(node, "CLUSTER", "SETSLOT", slotOf(keys[0]), "STABLE");
    assert.ok(json.hops.length > 5, `${json.hops.length} attempts`);
    assert.ok(
      kindsOf(json)
        .slice(0, -1)
        .every((kind) => kind === "TRYAGAIN"),
      kindsOf(json).join(" "),
    );
    assert.ok(
      rowsOf(json).every((row) => row === "tryagain"),
      rowsOf(json).join(" "),
    );
    const pauses = json.hops.slice(0, -1).map(({ decisions }) => decisions[0]?.backoffMs ?? -1);
    assert.ok(
      pauses.every((ms) => ms >= 0),
      pauses.join(" "),
    );
    // The deadline may come while an attempt is in flight.
    assert.deepEqual([json.end.error?.code, json.end.outcome], ["DEADLINE", outcomeAfter(json)]);
    assert.equal(json.end.retries, kindsOf(json).filter((kind) => kind === "TRYAGAIN").length);
    for (const text of texts) {
      assert.equal(text.split("← TRYAGAIN").length - 1, 4, "the first three and the last");
      const attempts = [...text.matchAll(/(\d+) ← TRYAGAIN/g)].map(([, attempt]) => Number(attempt));
      const last = attempts.at(-1) as number;
      assert.deepEqual(attempts.slice(0, 3), [1, 2, 3]);
      assert.ok(has(text, `... ${last - 4} more attempts at`) && has(text, `${last - 4} × TRYAGAIN`), text);
      assert.match(text, /\nDEADLINE, (not-executed|unknown): \d+\s+attempts,/);
    }
  });

  it("many nodes: each node's reply, and the parts of a call over several slots", async () => {
    const primaries = topology.nodes.filter(({ role }) => role === "primary").map(({ address }) => address);
    const keys = ["parts:1", "parts:2", "parts:3"];
    for (const [index, key] of keys.entries()) await cluster.command(nodesFor(key).owner, "SET", key, `value ${index}`);
    const [sizes, parts] = [await explained([...where, "DBSIZE"]), await explained([...where, "MGET", ...keys])];
    assert.deepEqual(sizes.json.replies.map(({ address }) => address).sort(), primaries.sort());
    const sum = sizes.json.replies.reduce((total, { reply }) => total + (reply as number), 0);
    assert.equal(sum, sizes.json.reply);
    assert.deepEqual(parts.json.reply, ["value 0", "value 1", "value 2"]);
    assert.deepEqual(
      parts.json.replies
        .toSorted((one, two) => (String(one.reply) < String(two.reply) ? -1 : 1))
        .map((each) => [each.slot, each.reply]),
      keys.map((key, index) => [slotOf(key), [`value ${index}`]]),
    );
    for (const { json, texts } of [sizes, parts]) {
      for (const { address, reply } of json.replies) {
        const own = `← ${json.names[address]}: ${JSON.stringify(reply)}`;
        if (json === parts.json) for (const text of texts) assert.ok(has(text, own), `${own}\n${text}`);
        else for (const text of texts) assert.match(text, new RegExp(`← ${json.names[address]}: \\d+\n`));
      }
    }
  });

  it("shows bytes only with --bytes, and never a password", async () => {
    const call = ["--eval", file("bytes.lua"), ...where, "{b}key", ",", "an argument"];
    const [plain, shown, json] = await Promise.all([
      explainAt(80, call),
      explainAt(80, ["--bytes", "--why", ...call]),
      explainAt(80, ["--json", ...call]),
    ]);
    for (const { out } of [plain, json]) assert.ok(!out.includes("an argument\\r\\n") && !out.includes("$7"), out);
    assert.ok(!plain.out.includes("an argument\n"), plain.out);
    const sent = "*5\\r\\n$7\\r\\nEVALSHA\\r\\n$40\\r\\n";
    assert.ok(
      has(shown.out, sent) && has(shown.out, "$1\\r\\n1\\r\\n$6\\r\\n{b}key\\r\\n$11\\r\\nan argument\\r\\n"),
      shown.out,
    );
    assert.ok(
      has(shown.out, "< *3\\r\\n$6\\r\\n{b}key\\r\\n$11\\r\\nan argument\\r\\n$14\\r\\na secret reply\\r\\n"),
      shown.out,
    );
    const { owner } = nodesFor("{b}key");
    await cluster.command(owner, "ACL", "SETUSER", "eve", "on", ">geheim", "~*", "+@all", "&*");
    const auth = await explainAt(80, ["--bytes", ...where, "ACL", "SETUSER", "eve", ">geheim2"]);
    assert.ok(!auth.out.includes("geheim"), auth.out);
  });

  it("--why: what a decision was given, and where its rule stands", async () => {
    const { other } = nodesFor("why");
    const { out } = await explainAt(80, ["--why", "--from", other, ...where, "GET", "why"]);
    assert.ok(has(out, `given: MOVED, slot ${slotOf("why")}, no script, redirections 0 of 16, retries 0`), out);
    const line = Number(/rule: src\/routing\/next-step-rows\.ts:(\d+)/.exec(out)?.[1]);
    assert.ok(line > 50, out);
  });

  it("--html: a page that cannot be written takes nothing from the explanation, and a link stays one", async () => {
    const [link, page] = [file("link.html"), file("page.html")];
    symlinkSync(page, link);
    const linked = await explainAt(80, ["--html", link, ...where, "GET", "page"]);
    assert.deepEqual([linked.error, lstatSync(link).isSymbolicLink()], [null, true]);
    assert.match(readFileSync(page, "utf8"), /^<!doctype html>/);
    if (!existsSync("/dev/full")) return;
    for (const [json, shows] of [
      [[], /\nReply, executed: 1 attempt, /],
      [["--json"], /^\{.*"outcome":"executed".*\}\n$/],
    ] as const) {
      const full = await explainAt(80, ["--html", "/dev/full", ...json, ...where, "GET", "page"]);
      assert.match(full.error ?? "", /^--html "\/dev\/full" cannot be written \(ENOSPC\)/);
      assert.match(full.out, shows, "the call was made");
    }
  });

  it("ends with the code where nothing is sent", async () => {
    const { json, texts } = await explained([...where, "RENAME", "a", "b"]);
    assert.deepEqual([json.end.error?.code, json.end.outcome, json.hops], ["CROSSSLOT", "not-executed", []]);
    for (const text of texts) assert.match(text, /\nnothing was sent\n/);
  });
});

describe("slotwire explain at a cluster that loses a node", () => {
  let cluster: LocalCluster;
  let topology: Topology;
  const folder = scriptFolder({ "wait.lua": "return 1" });
  const keyOf = (address: string) => {
    for (let index = 0; ; index++) if (topology.primaryOf(slotOf(`k${index}`))?.address === address) return `k${index}`;
  };
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 0 });
    topology = await topologyOf(cluster);
  });
  after(() => cluster?.stop());

  it("a call that was written and lost: unknown; then CLUSTERDOWN, and no send that was not written", async () => {
    const where = optionsFor(cluster, folder);
    const primaries = topology.nodes.map(({ address }) => address);
    const seed = cluster.nodes[0] as string;
    const [dead, alive] = primaries.filter((address) => address !== seed) as [string, string];
    const key = keyOf(dead);
    const [asText, asJson] = [
      explainAt(80, [...where, "BLPOP", key, "0"]),
      explainAt(80, ["--json", ...where, "BLPOP", key, "0"]),
    ];
    await eventually(async () => {
      const clients = String(await cluster.command(dead, "CLIENT", "LIST"));
      assert.equal(clients.split("cmd=blpop").length - 1, 2);
    });
    await cluster.kill(dead);
    const [lost, json] = [await asText, JSON.parse((await asJson).out) as Explanation];
    assert.deepEqual([json.end.error?.code, json.end.outcome, kindsOf(json)], ["CONNECTION_LOST", "unknown", ["LOST"]]);
    assert.deepEqual(rowsOf(json), ["lost"]);
    assert.match(lost.out, / 1 ← the connection was lost\n/);
    assert.ok(
      has(lost.out, "lost: the connection was lost, and the call may have run; the call is given up"),
      lost.out,
    );
    assert.match(lost.out, /\nCONNECTION_LOST, unknown: 1 attempt, /);
    assert.ok(has(lost.out, "is silent"), lost.out);

    await eventually(async () => {
      assert.match(String(await cluster.command(alive, "CLUSTER", "INFO")), /cluster_state:fail/);
    }, 60_000);
    const [down, gone] = await Promise.all([
      explained([...where, "GET", keyOf(alive)]),
      explained([...where, "GET", key]),
    ]);
    const refusals = kindsOf(down.json).filter((kind) => kind !== undefined);
    assert.ok(refusals.length > 4 && refusals.every((kind) => kind === "CLUSTERDOWN"), refusals.join(" "));
    assert.ok(new Set(rowsOf(down.json)).has("clusterdown"), rowsOf(down.json).join(" "));
    assert.equal(down.json.end.outcome, outcomeAfter(down.json));
    assert.ok(down.json.said.before?.down.includes(alive), JSON.stringify(down.json.said.before));
    for (const text of down.texts) {
      assert.equal(text.split("← CLUSTERDOWN").length - 1, 4, text);
      assert.ok(has(text, "the cluster is down for"), text);
    }
    assert.equal(gone.json.end.written, 0);
    assert.ok(gone.json.end.attempts > 0, "it was tried");
    assert.ok(
      gone.json.hops.every(({ writtenAt }) => writtenAt === null),
      "nothing was written",
    );
    assert.equal(gone.json.end.outcome, "not-executed");
    for (const text of gone.texts) {
      assert.ok(!text.includes(" → "), text);
      assert.ok(has(text, "for a connection to") && has(text, "never written"), text);
      assert.ok(has(text, `${dead} is silent`) || has(text, "is silent ("), text);
    }
  });
});
