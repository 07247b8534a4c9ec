import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, InvalidArgumentError, ReplyError } from "../../src/index.ts";
import type { Argument, Reply } from "../../src/protocol/reply.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { REPLY_LINES } from "../support/reply-lines.ts";
import { alternativesIn, Comparison, inWords, type ReplyType, replyTypes } from "../support/reply-types.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";

/** Commands that no line calls, because a test cannot make a server answer them, or only by much. */
const UNCALLED: ReadonlySet<string> = new Set([
  ...["ACL LOAD", "ACL SAVE", "CONFIG REWRITE"], // need files
  ...["MODULE LOAD", "MODULE LOADEX", "MODULE UNLOAD"], // need a module
  ...["SCRIPT KILL", "FUNCTION KILL"], // need a script that runs: test/cluster/ending-scripts.test.ts
  ...["CLUSTER CANCELSLOTMIGRATIONS", "CLUSTER MIGRATESLOTS"], // need a migration
  ...["CLUSTER FORGET", "CLUSTER REPLICATE", "FAILOVER", "SHUTDOWN", "DEBUG"], // would end what other lines need
]);

/** Replies that no line gets on some server. */
const UNSEEN: readonly string[] = [
  // By version: with WITHSCORE from 7.2 on, null before 7.0; before Redis 8 a server may have no module.
  ...["ZRANK: [number, string]", "ZREVRANK: [number, string]"],
  ...["XCLAIM: null of [string", "XAUTOCLAIM: null of [string", "MODULE LIST: "],
  // While a script runs, while slots move.
  ...["FUNCTION STATS: ", "CLUSTER MIGRATION: ", "CLUSTER GETSLOTMIGRATIONS: "],
  // To a server with TLS.
  'MIGRATE: "OK"',
  // Of a client by its address, of a client that is blocked.
  ...['CLIENT KILL: "OK"', "CLIENT UNBLOCK: 1"],
];

interface Line {
  readonly text: string;
  readonly mayFail: boolean;
  readonly where: string;
  readonly words: readonly string[];
  readonly saveAs: string | undefined;
}

const LINES = REPLY_LINES.split("\n").flatMap((text): Line[] => {
  const [, mark, where = "cluster", call, saveAs] = /^(\? )?(?:(\w+): )?(.*?)(?: =(\w+))?$/.exec(text.trim()) ?? [];
  const words = (call ?? "").match(/"[^"]*"|\S+/g) ?? [];
  return words.length === 0 ? [] : [{ text, mayFail: mark !== undefined, where, words, saveAs }];
});

describe("the types of replies, held against the server's", () => {
  const types = replyTypes();
  /** The commands that gave replies, and the members of unions that these had. */
  const answered = new Set<string>();
  const seen = new Set<ReplyType>();
  let cluster: LocalCluster;
  let single: SingleServer;
  let client: Cluster;
  /** A node of no cluster, without slots. */
  let spare: SingleServer;
  /** The server's commands; containers by their subcommands. */
  let names: string[];

  before(async () => {
    const args = ["--repl-diskless-sync-delay", "0"];
    [cluster, single, spare] = await Promise.all([
      startCluster({ primaries: 1, replicasPerPrimary: 1, args }),
      startSingle(),
      startSingle("--cluster-enabled", "yes"),
    ]);
    client = await connect({ ...cluster.connectOptions });
    names = namesIn((await spare.command("COMMAND")) as Reply[][]);
  });
  after(async () => {
    client?.destroy();
    await Promise.all([cluster?.stop(), single?.stop(), spare?.stop()]);
  });

  it("has a type for every command of the server", () => {
    assert.ok(names.length > 200, `${names.length} commands`);
    assert.deepEqual(
      names.filter(
        (name) =>
          ![...types.keys()].some((key) => key === name || key.startsWith(`${name} `)) && !/^(HOST:|POST)$/.test(name),
      ),
      [],
    );
  });

  for (const replies of ["string", "buffer"] as const) {
    it(`has the types of the replies that come, with replies: "${replies}"`, async (test) => {
      const wrong: string[] = [];
      for (const { line, reply } of await called(replies, wrong)) {
        // What does not come by the client is text.
        const comparison = new Comparison(line.where === "spare" || line.where === "single" ? "string" : replies, seen);
        const [name, type] = typeOf(types, line.words);
        answered.add(name);
        if (type.kind === "never" ? reply === REFUSED : comparison.fits(type, reply)) comparison.note(type, reply);
        else wrong.push(`${line.text}: ${JSON.stringify(reply)} is no ${inWords(type)}`);
      }
      assert.deepEqual(wrong, []);
      test.diagnostic(`${answered.size} commands and subcommands of ${names.length}`);
    });
  }

  it("was asked for every command, and has no type of a reply that none of them gives", (test) => {
    if (!listsSubcommands()) return test.skip("this server is older than what the types are of");
    assert.deepEqual(
      names.filter((name) => !answered.has(name) && !UNCALLED.has(name)),
      [],
    );
    const unseen = [...answered].flatMap((name) =>
      alternativesIn(types.get(name) as ReplyType)
        .filter(([, member]) => !seen.has(member))
        .map(([text]) => `${name}: ${text}`),
    );
    assert.deepEqual(
      unseen.filter((text) => !UNSEEN.some((known) => text.startsWith(known))),
      [],
    );
    assert.ok(answered.size >= 250, `${answered.size} commands`);
  });

  /** Whether COMMAND lists subcommands, as servers do from 7.0 on. */
  const listsSubcommands = () => names.includes("CONFIG GET");

  /** Calls all lines whose commands the server knows, and gives the replies. What failed is told to `wrong`. */
  async function called(replies: "string" | "buffer", wrong: string[]): Promise<{ line: Line; reply: unknown }[]> {
    await client.command("FLUSHALL");
    const view = client.with({ replies });
    const { primary, replica } = nodesOf(client);
    const saved = new Map<string, Argument>([
      ["id", client.node(primary).id],
      ["port", single.port],
    ]);
    const results: { line: Line; reply: unknown }[] = [];
    for (const line of LINES) {
      const [name, type] = typeOf(types, line.words);
      if (line.where === "finally" && replies !== "buffer") continue;
      const isListed = names.includes(name);
      if (!isListed && !names.includes(name.split(" ")[0] as string)) continue;
      const [command = "", ...args] = line.words.map((word) => argumentOf(word, saved));
      const send = {
        cluster: () => view.command(String(command), args),
        pinned: () => view.node(primary).command(String(command), args),
        replica: () => view.node(replica).command(String(command), args),
        finally: () => view.node(replica).command(String(command), args),
        spare: () => spare.command(command, ...args),
        single: () => single.command(command, ...args),
      }[line.where];
      assert.ok(send, line.text);
      try {
        results.push({ line, reply: await send() });
        if (line.saveAs === undefined) continue;
        saved.set(line.saveAs, (await client.with({ replies: "buffer" }).command(String(command), args)) as Buffer);
      } catch (error) {
        if (type.kind === "never" && error instanceof InvalidArgumentError) results.push({ line, reply: REFUSED });
        else if (!(error instanceof ReplyError) || (isListed && !line.mayFail)) wrong.push(`${line.text}: ${error}`);
      }
    }
    return results;
  }
});

const REFUSED = Symbol("refused");

/** The name under which the table has the type of the call's reply. */
function typeOf(types: ReadonlyMap<string, ReplyType>, words: readonly string[]): [name: string, type: ReplyType] {
  const [command = "", first = ""] = words.map((word) => word.toUpperCase());
  const name = types.has(`${command} ${first}`) ? `${command} ${first}` : command;
  const type = types.get(name);
  assert.ok(type, `the table has no ${name}`);
  return [name, type];
}

function argumentOf(word: string, saved: ReadonlyMap<string, Argument>): Argument {
  if (word.startsWith("$")) return saved.get(word.slice(1)) ?? word;
  if (word.startsWith('"')) return word.slice(1, -1).replaceAll("\\n", "\n");
  return word.startsWith("@") ? `{t}${word.slice(1)}` : word;
}

function nodesOf({ topology }: Cluster): { readonly primary: string; readonly replica: string } {
  const primary = topology.primaryOf(0);
  const [replica] = topology.replicasOf(0);
  assert.ok(primary && replica, "a primary with a replica");
  return { primary: primary.address, replica: replica.address };
}

function namesIn(commands: readonly Reply[][]): string[] {
  return commands.flatMap((entry) => {
    const subcommands = (entry[9] ?? []) as Reply[][];
    const own = String(entry[0]).toUpperCase().replace("|", " ");
    const isContainer = subcommands.length > 0 && own !== "COMMAND";
    return [...(isContainer ? [] : [own]), ...namesIn(subcommands)];
  });
}
