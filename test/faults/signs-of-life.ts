import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Cluster, connect, defineScript, type SlotwireError, slotOf } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { incrScript } from "../support/scripts.ts";
import { ThrottledLink } from "../support/throttled-link.ts";
import { atMost, type Fault, type Finding, finding, none } from "./fault.ts";
import { addUser, pause, withServers } from "./shards.ts";

/** What was lost of a client's connections and calls. */
function losses(client: Cluster): Record<string, readonly [value: unknown, holds: boolean]> {
  const { errors, reconnections } = client.metrics().counters;
  const failed = Object.entries(errors).map(([code, count]) => `${count} ${code}`);
  return { errors: [failed.join(" + ") || "0", failed.length === 0], "connections lost": none(reconnections) };
}

/** A key of each node that owns slots, by address. */
function keysByNode(client: Cluster): [address: string, key: string][] {
  const keys = new Map<string, string>();
  const primaries = client.topology.nodes.filter(({ role }) => role === "primary").length;
  for (let index = 0; keys.size < primaries; index++) {
    const key = `life:${index}`;
    keys.set(client.topology.primaryOf(slotOf(key))?.address as string, key);
  }
  return [...keys];
}

/** How soon a half-open connection must be noticed. */
const NOTICED_MS = 1500;
const UPLOADS = [
  { bytes: 3_000_000, perSecond: 1_000_000 },
  { bytes: 10_000_000, perSecond: 4_000_000 },
];

const slowUpload = (isShared: boolean): Fault => ({
  name: isShared ? "slow-upload-shared" : "slow-upload",
  must: `3 MB over 1 MB/s and 10 MB over 4 MB/s, ${isShared ? "all connections share the link" : "each connection has a link of its own"}: 0 lost; a half-open neighbour in the same run is noticed in ${NOTICED_MS / 1000} s`,
  cause: () =>
    withServers({}, async (servers) => {
      const seen: Finding[] = [];
      for (const { bytes, perSecond } of UPLOADS) {
        const link = await ThrottledLink.to(servers.nodes, perSecond, isShared);
        const options = { ...servers.connectOptions, natMap: link.natMap, commandTimeout: 60_000 };
        const client = await connect(options);
        try {
          const [[, key], [, other], [third, neighbour]] = keysByNode(client) as [
            [string, string],
            [string, string],
            [string, string],
          ];
          const codes: string[] = [];
          const note = ({ code, outcome }: SlotwireError) => codes.push(`${code} ${outcome}`);
          const began = performance.now();
          const upload = client.command("SET", key, Buffer.alloc(bytes, 120)).catch(note);
          const beside = Array.from({ length: 5 }, () => client.command("INCR", other).catch(note));
          const behind = client.command("STRLEN", key).catch(note);
          await client.command("SET", neighbour, 1);
          link.breakHalf(third);
          const broken = performance.now();
          const call = await client.command("INCR", neighbour).then(
            () => "served",
            ({ code, outcome }: SlotwireError) => `${code} ${outcome}`,
          );
          const noticedMs = performance.now() - broken;
          await Promise.all([upload, ...beside]);
          const length = await behind;
          seen.push(
            finding({
              [`${bytes / 1e6} MB`]: [`${length} bytes`, length === bytes],
              after: [`${((performance.now() - began) / 1000).toFixed(1)} s`, true],
              lost: none(codes.length),
              "the neighbour's call": [call, call === "CONNECTION_LOST unknown"],
              "noticed after": atMost(noticedMs, NOTICED_MS),
              "connections lost": [
                client.metrics().counters.reconnections,
                client.metrics().counters.reconnections === 1,
              ],
            }),
          );
        } finally {
          client.destroy();
          await link.stop();
        }
      }
      return { seen: seen.map((each) => each.seen).join("; "), ok: seen.every(({ ok }) => ok) };
    }),
});

const WITHOUT_SCRIPTING = ["+@all", "-@scripting"];
const withReplicas = { primaries: 3, replicasPerPrimary: 1 };

const pausedWrites: Fault = {
  name: "paused-no-scripting",
  must: "CLIENT PAUSE 1500 WRITE on all primaries, a user without @scripting: 0 lost, also of calls that block",
  cause: () =>
    withServers(withReplicas, async (servers) => {
      await addUser(servers, "limited", ...WITHOUT_SCRIPTING);
      await using client = await connect({ ...servers.connectOptions, username: "limited", password: "pw" });
      const keys = keysByNode(client);
      for (const [, key] of keys) await client.command("SET", key, 0);
      for (const [address] of keys) await servers.command(address, "CLIENT", "PAUSE", 1500, "WRITE");
      const began = performance.now();
      const calls = keys.flatMap(([, key]) => [
        ...Array.from({ length: 20 }, () => client.command("INCR", key)),
        client.command("BLPOP", `{${key}}list`, 0.2),
      ]);
      await Promise.allSettled(calls);
      const tookMs = performance.now() - began;
      const counts = await Promise.all(keys.map(([, key]) => client.command("GET", key)));
      return finding({
        calls: [calls.length, true],
        "answered after": [`${tookMs.toFixed(0)} ms`, tookMs > 1000 && tookMs < 5000],
        "counted at each node": [counts.join(" "), counts.every((count) => count === "20")],
        ...losses(client),
      });
    }),
};

const handedOver: Fault = {
  name: "failover-no-scripting",
  must: "a coordinated failover (CLUSTER FAILOVER) under load, a user without @scripting: 0 lost, each call run once",
  cause: () =>
    withServers(withReplicas, async (servers) => {
      await addUser(servers, "limited", ...WITHOUT_SCRIPTING);
      await using client = await connect({ ...servers.connectOptions, username: "limited", password: "pw" });
      const key = "{handed over}";
      const primary = client.topology.primaryOf(slotOf(key))?.address;
      const replica = client.topology.replicasOf(slotOf(key))[0]?.address as string;
      let [isOver, made, slowestMs] = [false, 0, 0];
      const load = async () => {
        while (!isOver) {
          const sent = performance.now();
          made++;
          await client.command("INCR", key).catch(() => {});
          slowestMs = Math.max(slowestMs, performance.now() - sent);
        }
      };
      const loads = Array.from({ length: 10 }, load);
      await pause(300);
      await servers.failover(replica);
      await pause(1000);
      isOver = true;
      await Promise.all(loads);
      const counted = Number(await client.command("GET", key));
      const owner = client.topology.primaryOf(slotOf(key))?.address;
      return finding({
        calls: [made, true],
        "run once": [counted, counted === made],
        slowest: [`${slowestMs.toFixed(0)} ms`, true],
        "the owner changed": [owner !== primary, owner === replica],
        errors: losses(client).errors as readonly [unknown, boolean],
      });
    }),
};

/** Runs for ARGV[1] milliseconds, and answers nobody meanwhile. */
const spin = defineScript({
  name: "spin",
  source: `local function now() local t = redis.call('time'); return t[1] * 1000 + t[2] / 1000 end
local till = now() + ARGV[1]
while now() < till do end
return redis.call('incr', KEYS[1])`,
  numberOfKeys: 1,
});

/** What makes a server, or its client, refuse each second connection. */
type Refuse = (servers: LocalCluster, client: Cluster) => Promise<{ isRefusing: boolean } | undefined>;

const REFUSALS: Readonly<Record<string, readonly [words: string, refuse: Refuse]>> = {
  rotated: [
    "while the password was rotated",
    async (_, client) => {
      await client.command("CONFIG", "SET", "requirepass", "new");
      return undefined;
    },
  ],
  maxclients: [
    "while maxclients was reached",
    async (servers, client) => {
      const info = String(await servers.command(servers.nodes[0] as string, "INFO", "clients"));
      const connected = Number(/^connected_clients:(\d+)/m.exec(info)?.[1]);
      await client.command("CONFIG", "SET", "maxclients", connected - 1);
      return undefined;
    },
  ],
  provider: ["while the provider of credentials fails", async () => ({ isRefusing: true })],
};

const busy = (name: string): Fault => {
  const [words, refuse] = REFUSALS[name] as (typeof REFUSALS)[string];
  return {
    name: `busy-${name}`,
    must: `a script that runs for 3 s ${words}: second connections are refused, 0 lost`,
    cause: () =>
      withServers({ primaries: 1, args: ["--lua-time-limit", "100"] }, async (servers) => {
        const hasPassword = name === "rotated";
        if (hasPassword) await servers.command(servers.nodes[0] as string, "CONFIG", "SET", "requirepass", "old");
        let provider: { isRefusing: boolean } | undefined;
        await using client = await connect({
          ...servers.connectOptions,
          scripts: [spin],
          commandTimeout: 20_000,
          credentials: async () => {
            if (provider?.isRefusing) throw new Error("the vault is closed");
            return hasPassword ? { password: "old" } : {};
          },
        });
        await client.command("SET", "k", 0);
        provider = await refuse(servers, client);
        const failuresBefore = client.metrics().counters.connectionFailures;
        const ran = client.run(spin, ["k"], [3000]).catch(String);
        const behind = Array.from({ length: 10 }, () => client.command("INCR", "k").catch(String));
        const replies = await Promise.all([ran, ...behind]);
        const refused = client.metrics().counters.connectionFailures - failuresBefore;
        const right = replies.filter((reply, index) => reply === index + 1).length;
        return finding({
          answered: [`${right} of ${replies.length}`, right === replies.length],
          "second connections refused": [refused, refused > 0],
          ...losses(client),
        });
      }),
  };
};

const FLUSHED_KEYS = 4_000_000;

const threadedFlush: Fault = {
  name: "threaded-flush",
  must: "FLUSHALL of 4 million keys, which Redis 8 runs in a thread, and a call behind it: 0 lost",
  cause: () =>
    withServers({ primaries: 1, args: ["--enable-debug-command", "yes"] }, async (servers) => {
      await using client = await connect({ ...servers.connectOptions, commandTimeout: 60_000 });
      await client.command("DEBUG", "POPULATE", FLUSHED_KEYS);
      const began = performance.now();
      const replies = await Promise.all([client.command("FLUSHALL"), client.command("INCR", "k")]);
      const isThreaded = /Redis server v=([89]|\d\d)/.test(servers.version);
      return finding({
        server: [
          `${servers.version.split(" ").slice(0, 3).join(" ")}${isThreaded ? "" : ", which has no such thread"}`,
          true,
        ],
        "answered after": [`${(performance.now() - began).toFixed(0)} ms`, true],
        replies: [replies.join(" "), replies.join(" ") === "OK 1"],
        ...losses(client),
      });
    }),
};

/** The process does something else, and reads no socket. */
function compute(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

const IDLE = { primaries: 1, args: ["--timeout", "1"] };

/** A process that is stopped for 3.5 s. What its first call afterwards came to. */
async function firstCallOfStopped(servers: LocalCluster): Promise<string> {
  const program = fileURLToPath(new URL("../support/frozen-caller.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", program, JSON.stringify(servers.connectOptions)]);
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    child.kill("SIGSTOP");
    await pause(3500);
    child.kill("SIGCONT");
    return String((await lines.next()).value);
  } finally {
    child.kill("SIGKILL");
  }
}

const TIMES = 6;

const afterFreeze: Fault = {
  name: "after-freeze",
  must: `the first call after 4 s of computing, ${TIMES} times, and after SIGSTOP, on connections that the server closed meanwhile: succeeds, and runs once`,
  cause: () =>
    withServers(IDLE, async (servers) => {
      await using client = await connect({ ...servers.connectOptions, scripts: [incrScript] });
      const replies: unknown[] = [];
      for (let time = 0; time < TIMES; time++) {
        compute(4000);
        // Now in the tick of the computing, now in a later turn.
        if (time % 2 === 1) await pause(0);
        replies.push(await client.run(incrScript, ["stalled"]).catch(String));
      }
      const { counters } = client.metrics();
      const stopped = await firstCallOfStopped(servers);
      return finding({
        "after computing": [replies.join(" "), replies.every((reply, index) => reply === index + 1)],
        "connections that the server had closed": [counters.reconnections, counters.reconnections === TIMES],
        "after SIGSTOP": [stopped, stopped === "2"],
      });
    }),
};

/** Turns of the event loop after `connect` was called, and milliseconds after it. */
const STALLS: readonly (readonly [count: number, unit: "turns" | "ms"])[] = [
  ...[0, 1, 2, 3, 4, 5, 6, 8, 10, 12].map((count) => [count, "turns"] as const),
  ...[2, 4, 8].map((count) => [count, "ms"] as const),
];

const connectBesideWork: Fault = {
  name: "connect-stalled",
  must: `connect beside 3 s of computing, which begins at ${STALLS.length} positions of it (connectTimeout 2 s): all scripts on all nodes each time, no connection lost`,
  cause: () =>
    withServers({}, async (servers) => {
      const scripts = Array.from({ length: 10 }, (_, index) =>
        defineScript({ name: `s${index}`, source: `return ${index}`, numberOfKeys: 0 }),
      );
      let [complete, lost] = [0, 0];
      const rejected: string[] = [];
      for (const [count, unit] of STALLS) {
        await servers.flushScripts();
        const connecting = connect({ ...servers.connectOptions, scripts }).catch(String);
        if (unit === "ms") await pause(count);
        else for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
        compute(3000);
        const client = await connecting;
        if (typeof client === "string") {
          rejected.push(`${count} ${unit}: ${client}`);
          continue;
        }
        if (client.scripts().every(({ loaded }) => loaded.length === scripts.length)) complete++;
        const { connectionFailures, reconnections } = client.metrics().counters;
        lost += connectionFailures + reconnections;
        client.destroy();
      }
      return finding({
        "all scripts on all nodes": [`${complete} of ${STALLS.length}`, complete === STALLS.length],
        rejected: [rejected.join(" / ") || "0", rejected.length === 0],
        "connections lost": none(lost),
      });
    }),
};

export const signsOfLife: readonly Fault[] = [
  slowUpload(false),
  slowUpload(true),
  pausedWrites,
  handedOver,
  ...Object.keys(REFUSALS).map(busy),
  threadedFlush,
  afterFreeze,
  connectBesideWork,
];
