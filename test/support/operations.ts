import { type Cluster, type ConnectOptions, defineScript, type Outcome, type Subscription } from "../../src/index.ts";
import type { FakeCluster } from "./fake-cluster.ts";
import { array, bulk, error, type FakeNode } from "./fake-node.ts";
import { keyForSlot } from "./key-for-slot.ts";
import { setScript } from "./scripts.ts";
import type { Stage, Step } from "./stage.ts";

/** Where an operation can be kept waiting, and what is known of it when it is ended there. */
interface OperationStep extends Step {
  /** One for all errors, or one for each of a batch's results. */
  readonly outcome: Outcome | readonly Outcome[];
}

/** One thing that a user can ask for. */
export interface OperationRow {
  readonly name: string;
  readonly start: (view: Cluster, stage: Stage) => Promise<unknown>;
  readonly steps: readonly OperationStep[];
  /** What it resolves to. */
  readonly result: unknown;
  readonly options?: Partial<ConnectOptions> | ((stage: () => Stage) => Partial<ConnectOptions>);
  readonly prepare?: (cluster: FakeCluster) => void;
  /** After the client has connected. */
  readonly disturb?: (cluster: FakeCluster) => void;
  /**
   * Whose time limits it: `commandTimeout` the whole, or each step, or the time that it names itself on top of that, or
   * nothing but a timeout that was given to `with`.
   * @default "whole"
   */
  readonly limit?: "whole" | "each-step" | "on-top" | "own";
  /** What it has begun serves others as well, and goes on without it. */
  readonly isShared?: boolean;
  /** It may wait for ever: closing ends it. */
  readonly isEndless?: boolean;
}

const [here, there] = [keyForSlot(0), keyForSlot(16_000)] as [string, string];
const integer = (value: number) => `:${value}\r\n`;
const DENIED = error("NOPERM User x has no permissions to run the 'script|load' command");
const ABORTED = error("EXECABORT Transaction discarded because of previous errors.");
const TRY_AGAIN = error("TRYAGAIN Multiple keys request during rehashing of slot");
const IN_TWO: readonly Outcome[] = ["unknown", "unknown"];
const NOT_IN_TWO: readonly Outcome[] = ["not-executed", "not-executed"];

/** A command of a module, by its first, last and step of keys. */
function described(name: string, flags: string[], [first, last, step]: [number, number, number], ...tips: string[]) {
  const range = [first, last, step].map(integer);
  return array(bulk(name), integer(-2), array(...flags.map(bulk)), ...range, array(), array(...tips.map(bulk)));
}

const MODULE = array(
  described("m.set", ["write"], [1, 1, 1]),
  described("m.size", ["readonly"], [0, 0, 0], "request_policy:all_shards", "response_policy:agg_sum"),
  described("m.keys", ["write", "movablekeys"], [0, 0, 0]),
);

type AnswerOf = (node: FakeNode, index: number, args: readonly string[]) => string;

function always(cluster: FakeCluster, answers: Readonly<Record<string, AnswerOf>>) {
  for (const [index, node] of cluster.nodes.entries()) {
    for (const [command, answer] of Object.entries(answers)) {
      node.always(command, (args) => answer(node, index, args));
    }
  }
}

const SUBSCRIBING = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"];

/** The answers to SUBSCRIBE and its like: one for each name. */
export function confirmed([name = "", ...topics]: readonly string[]): string {
  return topics.map((topic) => array(bulk(name.toLowerCase()), bulk(topic), integer(1))).join("");
}

/** Answers of a server that has all that the operations ask for. */
export function answerAll(cluster: FakeCluster): void {
  always(cluster, {
    GET: () => bulk("v"),
    MGET: () => array(bulk("v")),
    DBSIZE: () => integer(2),
    COMMAND: () => MODULE,
    "M.SIZE": () => integer(3),
    EVALSHA_RO: () => bulk("r"),
    BLPOP: () => array(bulk(here), bulk("v")),
    EXEC: () => array("+OK\r\n"),
    ...Object.fromEntries(SUBSCRIBING.map((name) => [name, (_: FakeNode, __: number, args) => confirmed(args)])),
    SCAN: (_, index) => array(bulk("0"), array(...(index === 0 ? [bulk(here)] : []))),
    "CLUSTER NODES": (node, index) =>
      bulk(
        `id${index} 127.0.0.1:${node.port}@1 myself,master - 0 0 1 connected ${index === 0 ? "0-8191" : "8192-16383"}\n`,
      ),
  });
}

/** INFO of a primary with one replica, which has caught up when it is looked at for the second time. */
export function replicate(cluster: FakeCluster): void {
  always(cluster, {
    INFO: (node) =>
      bulk(
        `role:master\r\nslave0:ip=h,port=1,state=online,offset=${node.count("INFO") > 1 ? 9 : 1},lag=0\r\nmaster_repl_offset:9\r\n`,
      ),
  });
}

/** A server that has the script and lets nobody load it: a transaction that tries is discarded. */
function denyLoads(cluster: FakeCluster): void {
  for (const node of cluster.nodes) {
    let loads = 0;
    node.scripts.add(setScript.sha);
    node.always("MULTI", () => {
      loads = 0;
      return "+OK\r\n";
    });
    node.always("SCRIPT LOAD", () => {
      loads++;
      return DENIED;
    });
    node.always("EXEC", () => (loads > 0 ? ABORTED : array("+OK\r\n")));
  }
}

/** No server is known yet to have EVALSHA_RO: in a batch, calls of its key wait for the first answer. */
const readScript = defineScript({ name: "read", source: "return 'r'", numberOfKeys: 1, readOnly: true });
const scripted = { scripts: [setScript] };
const ran = (at: string, on = 1): OperationStep => ({ at, on, outcome: "unknown" });
const didNot = (at: string, on = 1): OperationStep => ({ at, on, outcome: "not-executed" });

const SINGLE_CALLS: readonly OperationRow[] = [
  {
    name: "run",
    start: (view) => view.run(setScript, [here], [1]),
    steps: [ran("EVALSHA")],
    result: "OK",
    options: scripted,
  },
  {
    name: "run, whose script was flushed",
    start: (view) => view.run(setScript, [here], [1]),
    steps: [ran("EVALSHA"), ran("SCRIPT LOAD"), ran("EVALSHA")],
    result: "OK",
    options: scripted,
    disturb: (cluster) => {
      for (const node of cluster.nodes) node.scripts.clear();
    },
  },
  { name: "command", start: (view) => view.command("GET", here), steps: [ran("GET")], result: "v" },
  {
    name: "command, whose slot has moved",
    start: (view) => view.command("GET", here),
    steps: [ran("GET"), ran("GET")],
    result: "v",
    disturb: ({ nodes: [first, second] }) => first?.always("GET", () => error(`MOVED 0 ${second?.address}`)),
  },
  {
    name: "command that blocks",
    start: (view) => view.command("BLPOP", here, 1),
    steps: [ran("BLPOP")],
    result: [here, "v"],
    limit: "on-top",
  },
  {
    name: "command that blocks for ever",
    start: (view) => view.command("BLPOP", here, 0),
    steps: [ran("BLPOP")],
    result: [here, "v"],
    limit: "own",
    isEndless: true,
  },
  {
    name: "MGET in parts",
    start: (view) => view.command("MGET", here, there),
    steps: [ran("MGET", 2)],
    result: ["v", "v"],
  },
];

const OF_MANY_NODES: readonly OperationRow[] = [
  { name: "DBSIZE", start: (view) => view.command("DBSIZE"), steps: [ran("DBSIZE", 2)], result: 4 },
  {
    name: "SCRIPT EXISTS",
    start: (view) => view.command("SCRIPT", "EXISTS", setScript.sha),
    steps: [ran("SCRIPT EXISTS", 2)],
    result: [1],
    options: scripted,
  },
  {
    name: "SCRIPT LOAD",
    start: (view) => view.command("SCRIPT", "LOAD", setScript.source),
    steps: [ran("SCRIPT LOAD", 2)],
    result: setScript.sha,
  },
  {
    name: "WAIT",
    start: (view) => view.command("WAIT", 1, 1000),
    steps: [ran("INFO", 2), ran("pause"), ran("INFO", 2)],
    result: 1,
    prepare: replicate,
    limit: "on-top",
  },
  {
    name: "WAIT without a limit",
    start: (view) => view.command("WAIT", 1, 0),
    steps: [ran("INFO", 2), ran("pause"), ran("INFO", 2)],
    result: 1,
    prepare: replicate,
    limit: "own",
    isEndless: true,
  },
  {
    name: "preload",
    start: async (view) => (await view.preload(setScript)).map(({ loaded }) => loaded.length),
    steps: [ran("SCRIPT EXISTS", 2), ran("SCRIPT LOAD", 2)],
    result: [1, 1],
    isShared: true,
    limit: "own",
  },
  {
    name: "refreshTopology",
    start: (view) => view.refreshTopology(),
    steps: [didNot("CLUSTER SHARDS"), didNot("SCRIPT EXISTS", 2)],
    result: undefined,
    isShared: true,
    options: scripted,
    limit: "own",
  },
  {
    name: "reauthenticate",
    start: (view) => view.reauthenticate(),
    steps: [didNot("credentials"), ran("AUTH", 2)],
    result: undefined,
    options: (stage) => ({
      credentials: async () => {
        await stage()?.gate("credentials");
        return { password: "secret" };
      },
    }),
    limit: "own",
  },
  {
    name: "step of a scan",
    start: (view) => view.scan().next(),
    steps: [ran("INFO"), ran("CLUSTER NODES"), ran("SCAN")],
    result: { done: false, value: here },
    limit: "each-step",
  },
];

const UNLISTED: readonly OperationRow[] = [
  {
    name: "unlisted command",
    start: (view) => view.command("M.SET", here, 1),
    steps: [didNot("COMMAND"), ran("M.SET")],
    result: "OK",
  },
  {
    name: "unlisted command, whose keys only a server finds",
    start: (view) => view.command("M.KEYS", 1, here),
    steps: [didNot("COMMAND"), didNot("COMMAND"), ran("M.KEYS")],
    result: "OK",
  },
  {
    name: "unlisted command for all nodes",
    start: (view) => view.command("M.SIZE"),
    steps: [didNot("COMMAND"), ran("M.SIZE", 2)],
    result: 6,
  },
];

const BATCHES: readonly OperationRow[] = [
  {
    name: "batch",
    start: (view) => view.batch().command("GET", here).command("GET", there).exec(),
    steps: [{ at: "GET", on: 2, outcome: IN_TWO }],
    result: ["v", "v"],
  },
  {
    name: "batch without an order",
    start: (view) => view.batch({ ordered: false }).command("GET", here).command("GET", there).exec(),
    steps: [{ at: "GET", on: 2, outcome: IN_TWO }],
    result: ["v", "v"],
  },
  {
    name: "batch, of which a call waits for the one before",
    start: (view) => view.batch().run(readScript, [here]).command("SET", here, 1).exec(),
    steps: [{ at: "EVALSHA_RO", outcome: ["unknown", "not-executed"] }, ran("SET")],
    result: ["r", "OK"],
    options: { scripts: [readScript] },
  },
  {
    name: "batch with MGET in parts",
    start: (view) => view.batch().command("MGET", here, there).exec(),
    steps: [ran("MGET", 2)],
    result: [["v", "v"]],
  },
  {
    name: "batch with DBSIZE",
    start: (view) => view.batch().command("DBSIZE").command("DBSIZE").exec(),
    steps: [{ at: "DBSIZE", on: 2, outcome: IN_TWO }],
    result: [4, 4],
  },
  {
    name: "batch with SCRIPT LOAD",
    start: (view) => view.batch().command("SCRIPT", "LOAD", setScript.source).exec(),
    steps: [ran("SCRIPT LOAD", 2)],
    result: [setScript.sha],
  },
  {
    name: "batch with an unlisted command",
    start: (view) => view.batch().command("M.SET", here, 1).command("GET", there).exec(),
    steps: [
      { at: "COMMAND", outcome: NOT_IN_TWO },
      { at: "M.SET", outcome: "unknown" },
    ],
    result: ["OK", "v"],
  },
  {
    name: "batch with an unlisted command, whose keys only a server finds",
    start: (view) => view.batch().command("M.KEYS", 1, here).exec(),
    steps: [didNot("COMMAND"), didNot("COMMAND"), ran("M.KEYS")],
    result: ["OK"],
  },
  {
    name: "batch with an unlisted command for all nodes",
    start: (view) => view.batch().command("M.SIZE").command("GET", there).exec(),
    steps: [
      { at: "COMMAND", outcome: NOT_IN_TWO },
      { at: "M.SIZE", on: 2, outcome: "unknown" },
    ],
    result: [6, "v"],
  },
];

const TRANSACTIONS: readonly OperationRow[] = [
  {
    name: "transaction",
    start: (view) => view.transaction(here).command("SET", here, 1).exec(),
    steps: [ran("EXEC")],
    result: ["OK"],
  },
  {
    name: "transaction that may not load its script",
    start: (view) => view.transaction(here).run(setScript, [here], [1]).exec(),
    steps: [ran("EXEC"), ran("EXEC")],
    result: ["OK"],
    prepare: denyLoads,
    options: scripted,
  },
  {
    name: "watch",
    start: (view, stage) =>
      view.transaction(here, { watch: [here] }, async (tx) => {
        await tx.command("GET", here);
        await stage.gate("body");
        return tx.multi().command("SET", here, 1);
      }),
    steps: [didNot("PING"), didNot("WATCH"), didNot("GET"), didNot("body"), ran("EXEC")],
    result: ["OK"],
  },
  {
    name: "watch that starts over",
    start: (view) =>
      view.transaction(here, { watch: [here] }, async (tx) => {
        await tx.command("MGET", here, `{${here}}`);
        return tx.multi().command("SET", here, 1);
      }),
    steps: ["WATCH", "MGET", "pause", "EXISTS", "WATCH", "MGET"].map((at) => didNot(at)).concat(ran("EXEC")),
    result: ["OK"],
    disturb: (cluster) => {
      let refused = false;
      cluster.node(0).always("MGET", () => {
        if (refused) return array(bulk("v"), bulk("v"));
        refused = true;
        return TRY_AGAIN;
      });
    },
  },
];

/** Resolves when the subscription stands. It is closed then, because it would hear its signal until its end. */
async function begun(subscribing: Promise<Subscription>): Promise<string> {
  void (await subscribing).close();
  return "begun";
}

/** A connection of its own is opened first, and PING is the last thing that is said on it before. */
const SUBSCRIPTIONS: readonly OperationRow[] = [
  {
    name: "subscribe",
    start: (view) => begun(view.subscribe(["a", "b"])),
    steps: [didNot("PING"), didNot("SUBSCRIBE")],
    result: "begun",
  },
  {
    name: "psubscribe",
    start: (view) => begun(view.psubscribe("a*", () => {})),
    steps: [didNot("PING"), didNot("PSUBSCRIBE")],
    result: "begun",
  },
  {
    name: "ssubscribe",
    start: (view) => begun(view.ssubscribe([here, there])),
    steps: [didNot("PING", 2), didNot("SSUBSCRIBE", 2)],
    result: "begun",
  },
  {
    name: "keyspaceEvents",
    start: (view) => begun(view.keyspaceEvents("a*")),
    steps: [didNot("PING", 2), didNot("PSUBSCRIBE", 2)],
    result: "begun",
  },
];

/** Everything that a user can ask for and that takes time. */
export const OPERATIONS: readonly OperationRow[] = [
  ...SINGLE_CALLS,
  ...OF_MANY_NODES,
  ...UNLISTED,
  ...BATCHES,
  ...TRANSACTIONS,
  ...SUBSCRIPTIONS,
];

/** Sets the stage for one operation. */
export function prepareFor({ prepare }: OperationRow): (cluster: FakeCluster) => void {
  return (cluster) => {
    answerAll(cluster);
    prepare?.(cluster);
  };
}
