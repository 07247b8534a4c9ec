import type { ServerState, StudyEvent, StudyRange, StudyScript } from "../../src/cli/study/events.ts";

/*
 * A record for tests of the page, written by hand: three primaries with a replica each. Events are numbered as they are
 * noted.
 */

type Distributed<E> = E extends unknown ? Omit<E, "seq" | "at"> : never;
export type Unplaced = Distributed<StudyEvent>;

export const SCRIPTS: readonly StudyScript[] = ["acquire", "renew", "release"].map((name, index) => ({
  name,
  sha: `${index + 1}`.repeat(40),
}));

const RANGES: Readonly<Record<string, StudyRange>> = {
  A: { start: 0, end: 5460 },
  B: { start: 5461, end: 10922 },
  C: { start: 10923, end: 16383 },
};
const PORTS: Readonly<Record<string, number>> = { A: 7000, B: 7001, C: 7002, A1: 7003, B1: 7004, C1: 7005 };

export const addressOf = (name: string) => `127.0.0.1:${PORTS[name]}`;

/** A node in good health, unless `other` says otherwise. */
export function server(name: string, other: Partial<ServerState> = {}): ServerState {
  const isReplica = name.length > 1;
  const range = RANGES[name];
  return {
    address: addressOf(name),
    name,
    id: name.repeat(20),
    role: isReplica ? "replica" : "primary",
    primary: isReplica ? name.slice(0, 1) : null,
    error: null,
    health: "online",
    state: "ok",
    currentEpoch: 3,
    configEpoch: 1,
    slots: range === undefined ? [] : [range],
    open: [],
    suspects: {},
    disagrees: [],
    unknown: [],
    meeting: [],
    keys: 0,
    scripts: Object.fromEntries(SCRIPTS.map(({ sha }) => [sha, true])),
    ...other,
  };
}

/** All six nodes. `changed`: what is otherwise, by name. */
export function servers(changed: Readonly<Record<string, Partial<ServerState>>> = {}): ServerState[] {
  return Object.keys(PORTS).map((name) => server(name, changed[name]));
}

/** A node that does not answer. */
export const SILENT: Partial<ServerState> = {
  role: null,
  error: "connection refused",
  state: null,
  keys: null,
  scripts: {},
};

/** Notes events, and gives them numbers and times. */
export class HandMadeRecord {
  readonly events: StudyEvent[] = [];
  #at = 0;
  #calls = 0;

  note(event: Unplaced, afterMs = 1): this {
    this.#at += afterMs;
    this.events.push({ seq: this.events.length + 1, at: this.#at, ...event } as StudyEvent);
    return this;
  }

  /** A call of a script that is refused by `refusals`, each by the node with that name, and then answered by `last`. */
  call(
    slot: number,
    refusals: readonly (readonly [node: string, kind: string, to: string])[],
    last: string,
    script: StudyScript | undefined = SCRIPTS[2],
  ): this {
    const call = ++this.#calls;
    this.note({ type: "call", call, command: "EVALSHA", script: script ?? null, slot, of: null }, 20);
    let redirections = 0;
    let retries = 0;
    let asking = false;
    let remedy: string | null = null;
    const hops = [...refusals, [last, "reply", last] as const];
    for (const [index, [node, kind, to]] of hops.entries()) {
      const attempt = index + 1;
      const address = addressOf(node);
      const loadBytes = remedy === "load" ? 222 : 0;
      this.note(
        { type: "queued", call, attempt, address, command: "EVALSHA", asking, bytes: asking ? 114 : 98, loadBytes },
        0.1,
      );
      this.note({ type: "written", call, attempt, address, connection: node.charCodeAt(0), waitedMs: 0.05 }, 0.1);
      const text =
        kind === "MOVED" || kind === "ASK" ? `${kind} ${slot} ${addressOf(to)}` : kind === "reply" ? null : kind;
      this.note(
        { type: "answered", call, attempt, address, connection: node.charCodeAt(0), kind, bytes: 34, text },
        0.7,
      );
      if (kind === "reply") break;
      const isRedirection = kind === "MOVED" || kind === "ASK";
      asking = kind === "ASK" || (asking && kind === "NOSCRIPT");
      remedy = kind === "NOSCRIPT" ? "load" : null;
      if (isRedirection) redirections++;
      else retries++;
      this.note(
        {
          ...{ type: "decided", call, attempt, address, failure: kind, row: rowOf(kind), verdict: "retry" },
          to: { kind: isRedirection ? "named" : kind === "NOSCRIPT" ? "same-node" : "owner", address: addressOf(to) },
          ...{
            asking,
            when: kind === "TRYAGAIN" ? "after-backoff" : "now",
            backoffMs: kind === "TRYAGAIN" ? 12 : null,
          },
          spends: isRedirection ? "redirection" : "retry",
          learned: kind === "MOVED" ? "slot-moved" : kind === "NOSCRIPT" ? "script-missing" : "nothing",
          ...{ remedy, outcome: null, redirections, retries },
        },
        0.05,
      );
    }
    const attempts = hops.length;
    return this.note({ type: "settled", call, attempts, address: addressOf(last), code: null, outcome: null }, 0.02);
  }
}

const rowOf = (kind: string) =>
  ({ MOVED: "moved-known", ASK: "ask-known", NOSCRIPT: "noscript-load", TRYAGAIN: "tryagain" })[kind] ??
  kind.toLowerCase();
