import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isListed, keyPositionsOf } from "../../src/commands/keys.ts";
import { LearnedCommands, parseCommands, specifiedKeys, spreadOfTips } from "../../src/commands/server-commands.ts";
import { type Spread, spreadOf } from "../../src/commands/spread.ts";
import { traitsOf } from "../../src/commands/traits.ts";
import { InvalidArgumentError, ReplyError } from "../../src/errors.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { COMMAND_LINES, wordsOf } from "../support/command-lines.ts";
import { counts } from "../support/command-stats.ts";

const CONTAINERS: ReadonlySet<string> = new Set(["memory", "object", "pfdebug", "xgroup", "xinfo"]);

const ROUTED_BY_NO_KEY: ReadonlySet<string> = new Set(["clusterscan", "spublish", "ssubscribe", "sunsubscribe"]);

/** A command or subcommand as COMMAND describes it. */
interface Described {
  /** The name, and the subcommand if it is one. */
  readonly words: readonly string[];
  readonly arity: number;
  readonly flags: readonly string[];
  readonly tips: readonly string[];
}

describe("what the server says of its commands", () => {
  let cluster: LocalCluster;
  let address: string;
  let described: Described[];
  const learned = new LearnedCommands();
  before(async () => {
    cluster = await startCluster({ primaries: 1 });
    address = cluster.nodes[0] as string;
    const reply = await cluster.command(address, "COMMAND");
    learned.known = parseCommands(reply);
    described = (reply as Reply[][]).flatMap((entry) => describedIn(entry, []));
    assert.ok(described.length > 200, `${described.length} commands`);
  });
  after(() => cluster?.stop());

  /** The keys by our own tables, or by what was learned; undefined where a server is to be asked. */
  const ourKeys = (name: string, args: readonly string[]): string[] | undefined => {
    const lower = name.toLowerCase();
    const command = learned.get(lower, args);
    const positions = isListed(lower) ? keyPositionsOf(lower, args) : command && specifiedKeys(command, args);
    return positions?.flatMap((position) => args[position] ?? []);
  };

  it("are the keys: for every command, by arguments of the right number, and by real calls where keys move", async (test) => {
    const names = new Set(described.map(({ words: [name] }) => name));
    const lines = COMMAND_LINES.map(wordsOf).filter(([name = ""]) => names.has(name.toLowerCase()));
    const shown = new Set(lines.map(([name = ""]) => name.toLowerCase()));
    const wrong: string[] = [];
    const unproven: string[] = [];
    let compared = 0;
    const compare = async (words: readonly string[]): Promise<boolean> => {
      const [name = "", ...args] = words;
      const keys = await getKeys(cluster, address, words);
      if (keys === undefined) return false;
      let ours: string[] | undefined;
      try {
        ours = ourKeys(name, args);
      } catch (error) {
        // A number of keys that is none, refused before the server can.
        assert.ok(error instanceof InvalidArgumentError, String(error));
        return false;
      }
      compared++;
      // Asked for at each call, as here.
      if (ours !== undefined && ours.toSorted().join() !== keys.toSorted().join())
        wrong.push(`${words.join(" ")}: ${ours}; server: ${keys}`);
      return true;
    };
    for (const words of lines) await compare(words);
    const areSubcommandsListed = counts("subcommands", test, cluster);
    for (const command of described) {
      // What they are routed by is a channel or a cursor: GETKEYS passes over it.
      if (ROUTED_BY_NO_KEY.has(command.words[0] as string)) continue;
      // Before 7.0, for a container any word in place of a subcommand does.
      if (!areSubcommandsListed && CONTAINERS.has(command.words[0] as string)) continue;
      const results = await Promise.all(generated(command).map(compare));
      if (!results.includes(true) && !shown.has(command.words[0] as string)) unproven.push(command.words.join(" "));
    }
    test.diagnostic(`${compared} calls of ${names.size} commands`);
    assert.deepEqual(wrong, []);
    assert.deepEqual(unproven, []);
    assert.ok(compared > 500, `${compared} calls`);
  });

  it("is what may run twice: we believe no more commands to be readonly, and from 7.0 on no fewer", (test) => {
    const all = counts("subcommands", test, cluster);
    const wrong: string[] = [];
    for (const { words, flags } of described) {
      const [name = "", ...args] = words;
      const readOnly = ourReadOnly(name, args, learned);
      const server = flags.includes("readonly");
      if (readOnly !== undefined && readOnly !== server && (readOnly || all))
        wrong.push(`${words.join(" ")}: ${readOnly}`);
    }
    assert.deepEqual(wrong, []);
  });

  it("are the policies: what is published is what is done, but for these", (test) => {
    if (!described.some(({ tips }) => tips.length > 0)) return test.skip("this server publishes no tips");
    const wrong = new Map<string, string>();
    for (const { words, tips } of described) {
      const [name = "", ...args] = words;
      const ours = isListed(name) ? spreadOf(name, args) : learned.get(name, args)?.spread;
      const published = spreadOfTips(tips);
      const policies = tips.filter((tip) => /_policy:/.test(tip)).join(" ");
      if (inWords(ours) !== inWords(published) || /multi_shard|special/.test(policies)) {
        wrong.set(words.join(" "), `${policies} -> ${inWords(ours)}`);
      }
    }
    for (const [name, policy] of wrong) {
      const known = DEVIATIONS.some((deviation) => deviation.names.includes(name) && deviation.policy.test(policy));
      assert.ok(known, `${name}: ${policy}`);
    }
  });
});

/** Where we do otherwise than what servers publish, or where that is no plain request to many nodes. */
const DEVIATIONS: readonly { readonly names: readonly string[]; readonly policy: RegExp; readonly why: string }[] = [
  { names: ["del", "exists", "touch", "unlink"], policy: /multi_shard .*agg_sum -> none/, why: "divided by slot" },
  { names: ["mget"], policy: /multi_shard -> none/, why: "divided by slot" },
  {
    names: ["script kill", "function kill"],
    policy: /one_succeeded -> all some/,
    why: "replicas run scripts that only read",
  },
  { names: ["mset"], policy: /multi_shard .*all_succeeded -> none/, why: "divided by slot" },
  {
    names: ["msetnx", "msetex"],
    policy: /multi_shard .* -> none/,
    why: "all keys or none: in parts it could be neither",
  },
  { names: ["ping"], policy: /all_shards .* -> none/, why: "any node can answer, and a sick one is not to fail it" },
  { names: ["randomkey"], policy: /all_shards.* -> none/, why: "a key of any node is one" },
  {
    names: ["scan", "clusterscan"],
    policy: /request_policy:special.* -> none/,
    why: "a cursor is one node's: cluster.scan",
  },
  {
    names: ["hotkeys get", "hotkeys reset", "hotkeys start", "hotkeys stop"],
    policy: /^request_policy:special.* -> none/,
    why: "a session is one node's: refused in a cluster",
  },
  { names: ["script exists"], policy: /all_shards .*and -> all every/, why: "replicas run scripts, too" },
  { names: ["latency reset"], policy: /all_succeeded -> all sum/, why: "it replies with a number: published later" },
  {
    names: [
      ...["function stats", "info", "latency doctor", "latency graph", "latency histogram", "latency history"],
      ...["latency latest", "memory doctor", "memory malloc-stats", "memory stats"],
    ],
    policy: /response_policy:special -> none/,
    why: "nobody says how to join the replies: that of one node",
  },
  {
    names: [
      ...["acl deluser", "acl save", "acl setuser", "client setinfo", "client setname"],
      ...["config resetstat", "config rewrite"],
    ],
    policy: /^ -> all first/,
    why: "published later",
  },
];

function inWords(spread: Spread | undefined): string {
  return spread === undefined ? "none" : `${spread.nodes} ${spread.join}`;
}

function describedIn(entry: readonly Reply[], container: readonly string[]): Described[] {
  const [name, arity, flags, , , , , tips, , subcommands] = entry;
  const words = String(name).toLowerCase().split("|");
  const own = { words, arity: Number(arity), flags: flags as string[], tips: (tips as string[] | undefined) ?? [] };
  const nested = ((subcommands ?? []) as Reply[][]).flatMap((each) =>
    describedIn(each, [...container, words[0] as string]),
  );
  // A container is called by its subcommands only. Redis 6.0 lists "host:" and "post" against HTTP.
  return nested.length > 0 || /^(host:|post)$/.test(String(name)) ? nested : [own];
}

/** Calls with as few arguments as it takes, and with some more. */
function generated({ words, arity }: Described): string[][] {
  const least = Math.abs(arity) - words.length;
  const lengths = arity < 0 ? [least, least + 1, least + 2, least + 3] : [least];
  return lengths.map((length) => [...words, ...Array.from({ length }, (_, index) => `k${index}`)]);
}

/** Undefined when the server refuses the arguments. */
async function getKeys(
  cluster: LocalCluster,
  address: string,
  words: readonly string[],
): Promise<readonly string[] | undefined> {
  // GETKEYS takes no command without arguments.
  if (words.length === 1) return [];
  try {
    return (await cluster.command(address, "COMMAND", "GETKEYS", ...words)) as string[];
  } catch (error) {
    assert.ok(error instanceof ReplyError, String(error));
    if (error.reply === "ERR The command has no key arguments") return [];
    assert.match(error.reply, /^ERR Invalid (arguments|number of arguments) specified for command$/, words.join(" "));
    return undefined;
  }
}

/** Undefined for a command that is refused. */
function ourReadOnly(name: string, args: readonly string[], learned: LearnedCommands): boolean | undefined {
  try {
    return traitsOf(name, args, learned).readOnly;
  } catch {
    return undefined;
  }
}
