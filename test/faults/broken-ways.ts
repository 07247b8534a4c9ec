import { type Cluster, type ConnectOptions, connect } from "../../src/index.ts";
import { ByteProxy } from "../support/byte-proxy.ts";
import { CountedLoad, kindsOf, type LoadReport, type Made, recordScript, repeatableScript } from "./counted-load.ts";
import { atMost, type Fault, type Finding, finding, none } from "./fault.ts";
import { addUser, pause, type Shards, withShards } from "./shards.ts";

/** How soon a half-open connection must be noticed and replaced. */
const NOTICED_MS = 1500;
/** The same where the server may not be asked what it has of a connection. */
const NOTICED_DENIED_MS = 3000;

/** A client that reaches the victim through a proxy. */
async function throughProxy(
  { cluster, victim }: Shards,
  body: (client: Cluster, proxy: ByteProxy) => Promise<LoadReport>,
  user: Partial<ConnectOptions> = {},
): Promise<LoadReport> {
  const proxy = await ByteProxy.start(victim);
  const client = await connect({
    ...cluster.connectOptions,
    ...user,
    scripts: [recordScript, repeatableScript],
    natMap: { [victim]: { host: proxy.host, port: proxy.port } },
  });
  try {
    return await body(client, proxy);
  } finally {
    client.destroy();
    await proxy.stop();
  }
}

async function breakHalf(
  shards: Shards,
  how: "swallow" | "swallowReplies",
  noticedMs = NOTICED_MS,
  user: Partial<ConnectOptions> = {},
): Promise<Finding> {
  let brokenAt = 0;
  let replacedAt = Number.POSITIVE_INFINITY;
  const load = async (client: Cluster, proxy: ByteProxy) => {
    const load = new CountedLoad(client, [...shards.own, ...shards.others]);
    await pause(1000);
    brokenAt = performance.now();
    proxy[how]();
    client.on("nodeUp", ({ address }) => {
      if (address === shards.victim) replacedAt = Math.min(replacedAt, performance.now());
    });
    await pause(4000);
    return load.end(6000);
  };
  const report = await throughProxy(shards, load, user);
  const later = report.failed.filter(({ settledAt }) => settledAt > brokenAt + noticedMs);
  return finding({
    gap: atMost(report.longestGapMs(shards.own), noticedMs),
    "replaced after": atMost(replacedAt - brokenAt, noticedMs),
    errors: [
      kindsOf(report.errors),
      report.errors.length <= (250 * noticedMs) / NOTICED_MS &&
        report.errors.every(({ outcome }) => outcome === "unknown"),
    ],
    "errors after that": none(later.length),
    doubles: none(report.doubles),
    "wrong replies": none(report.wrongReplies),
    hanging: none(report.hanging),
  });
}

const HALF_OPEN = `noticed and replaced in at most ${NOTICED_MS / 1000} s; at most 250 unknown, then no more errors`;

export const halfOpen: Fault = {
  name: "half-open",
  must: `half-open socket (bytes vanish, no close): ${HALF_OPEN}`,
  cause: (setting) => withShards(setting, {}, (shards) => breakHalf(shards, "swallow")),
};

const halfOpenReplies: Fault = {
  name: "half-open-replies",
  must: `half-open socket, calls arrive and their replies vanish: ${HALF_OPEN}`,
  cause: (setting) => withShards(setting, {}, (shards) => breakHalf(shards, "swallowReplies")),
};

const halfOpenDenied = (how: "swallow" | "swallowReplies", ways: string): Fault => ({
  name: how === "swallow" ? "half-open-denied" : "half-open-replies-denied",
  must: `half-open socket, ${ways}, and a user who may not ask CLIENT LIST: noticed and replaced in at most ${NOTICED_DENIED_MS / 1000} s; at most 500 unknown, then no more errors`,
  cause: (setting) =>
    withShards(setting, {}, async (shards) => {
      await addUser(shards.cluster, "denied", "+@all", "-@dangerous", "-@admin", "+cluster");
      return breakHalf(shards, how, NOTICED_DENIED_MS, { username: "denied", password: "pw" });
    }),
});

const halfOpenIdle: Fault = {
  name: "half-open-idle",
  must: `half-open socket on which nothing was sent for 3 s: the next call is answered, or unknown, in at most ${NOTICED_MS / 1000} s, and the one behind it is served`,
  cause: (setting) =>
    withShards(setting, {}, async (shards) => {
      let first: Made | undefined;
      const report = await throughProxy(shards, async (client, proxy) => {
        await pause(500);
        proxy.swallow();
        await pause(3000);
        const load = new CountedLoad(client, shards.own);
        load.stop();
        load.burst(1);
        first = load.pending()[0];
        while (load.pending().length > 0) await pause(10);
        load.burst(1);
        return load.end(6000);
      });
      const settledAfter = first === undefined ? Number.POSITIVE_INFINITY : first.settledAt - first.startedAt;
      return finding({
        "settled after": atMost(settledAfter, NOTICED_MS),
        errors: [kindsOf(report.errors), report.errors.length <= 1],
        calls: [report.calls, report.calls === 2],
        lies: none(report.lies),
      });
    }),
};

const repliesCut = (repeatable: boolean): Fault => ({
  name: repeatable ? "cut-idempotent" : "cut",
  must: repeatable
    ? "the same with the script declared idempotent: 0 errors"
    : "replies cut 20 times with more than 130 calls in doubt: doubles 0, each of those calls unknown, none called not-executed wrongly",
  cause: (setting) =>
    withShards(setting, {}, async (shards) => {
      const inDoubt: Made[] = [];
      const report = await throughProxy(shards, async (client, proxy) => {
        const keys = [...shards.own, ...shards.others];
        const load = new CountedLoad(client, keys, repeatable ? repeatableScript : recordScript);
        await pause(500);
        for (let time = 0; time < 20; time++) {
          proxy.swallowReplies();
          load.burst(20);
          await pause(60);
          inDoubt.push(...load.pending(shards.own));
          proxy.cut();
          await pause(150);
        }
        return load.end(6000);
      });
      const ran = report.ran(inDoubt);
      const unknown = inDoubt.filter(({ error }) => error?.outcome === "unknown").length;
      return finding({
        "in doubt": [inDoubt.length, inDoubt.length > 130],
        "of them ran": [ran, ran > 130],
        "of them unknown": [unknown, unknown === (repeatable ? 0 : inDoubt.length)],
        errors: [
          kindsOf(report.errors),
          repeatable ? report.errors.length === 0 : report.errors.every(({ outcome }) => outcome === "unknown"),
        ],
        doubles: [report.doubles, repeatable || report.doubles === 0],
        lies: none(report.lies),
        lost: none(report.lost),
        "wrong replies": none(report.wrongReplies),
        hanging: none(report.hanging),
      });
    }),
});

export const cut = repliesCut(false);
export const brokenWays: readonly Fault[] = [
  halfOpen,
  halfOpenReplies,
  halfOpenDenied("swallow", "both ways"),
  halfOpenDenied("swallowReplies", "replies alone"),
  halfOpenIdle,
  cut,
  repliesCut(true),
];
