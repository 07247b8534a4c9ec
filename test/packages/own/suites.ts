import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Where the clients of a package's own tests connect to, and whose they are. */
export interface PointedAt {
  readonly client: "ioredis" | "slotwire";
  readonly kind: "single" | "cluster";
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly keyPrefix?: string | undefined;
}

/** The tests that one package ships. */
export interface Suite {
  readonly name: string;
  /** The program and its arguments, from this folder. */
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly keyPrefix?: string;
  /**
   * Milliseconds after which the process is ended. What has passed by then counts: clients that are not closed keep some alive.
   * @default 45000
   */
  readonly mostMs?: number;
  readonly kinds: readonly PointedAt["kind"][];
}

const tap = ["--test-reporter=tap"];
const mocha = ["../node_modules/mocha/bin/mocha.js", "--reporter", "tap", "--exit", "--timeout", "30000"];
const both = ["single", "cluster"] as const;

export const SUITES: readonly Suite[] = [
  {
    name: "@fastify/rate-limit",
    command: [...tap, "../node_modules/@fastify/rate-limit/test/redis-rate-limit.test.js"],
    kinds: both,
  },
  {
    name: "redis-gcra",
    command: [...mocha, "--require", "should", "../node_modules/redis-gcra/test/redis-gcra-spec.js"],
    mostMs: 120_000,
    kinds: both,
  },
  {
    name: "bottleneck",
    command: [...mocha, "../node_modules/bottleneck/test/!(node_redis).js"],
    env: { DATASTORE: "ioredis", REDIS_HOST: "127.0.0.1", REDIS_PORT: "6379" },
    // Its tests give their limiters names without a hash tag, and each script has keys of one limiter.
    keyPrefix: "{own}:",
    mostMs: 120_000,
    kinds: ["single"],
  },
  {
    name: "graphql-redis-subscriptions",
    command: [...mocha, "../node_modules/graphql-redis-subscriptions/dist/test/integration-tests.js"],
    mostMs: 120_000,
    kinds: both,
  },
  { name: "@keyv/test-suite with @keyv/valkey", command: [...tap, "keyv-suite.ts"], kinds: both },
  { name: "bentocache/test_suite", command: [...tap, "bentocache-suite.ts"], kinds: both },
  { name: "@verrou/core/test_suite", command: [...tap, "verrou-suite.ts"], kinds: both },
];

export interface Outcome {
  readonly passed: ReadonlySet<string>;
  readonly failed: ReadonlySet<string>;
  /** All that was printed. */
  readonly output: string;
}

/** Runs a suite in a process of its own. */
export function runSuite({ command, env, keyPrefix, mostMs = 45_000 }: Suite, pointedAt: PointedAt): Promise<Outcome> {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", "--import", "./pointed.ts", ...command], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    env: { ...inherited, ...env, SLOTWIRE_POINTED_AT: JSON.stringify({ ...pointedAt, keyPrefix }) },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: mostMs,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text) => {
      output += text;
    });
  }
  return new Promise((resolve) => child.on("close", () => resolve(outcomeOf(output))));
}

/** What TAP says of the single tests. */
function outcomeOf(output: string): Outcome {
  const passed = new Set<string>();
  const failed = new Set<string>();
  for (const [, not, title, rest = ""] of output.matchAll(
    /^ *(not )?ok \d+ (?:- )?(.*)((?:\n(?! *(?:not )?ok ).*){0,8})/gm,
  )) {
    if (rest.includes("type: 'suite'") || title === undefined || / # (SKIP|TODO)/i.test(title)) continue;
    (not === undefined ? passed : failed).add(title);
  }
  return { passed, failed, output };
}
