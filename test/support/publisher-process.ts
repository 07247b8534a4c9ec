import { BareConnection, LOST } from "./bare-connection.ts";
import { epochMs as now } from "./epoch.ts";
import type { Orders, StreamPlan, Told, Wanted } from "./publisher.ts";
import type { SentMessage } from "./subscription-history.ts";

/*
 * A process of its own that publishes numbered messages over bare sockets, so that neither a busy test nor the client
 * under test has a part in what was sent, or when. It keeps a record of each message, and hands it over at the end.
 */

const TICK_MS = 5;
/** A node that does not answer in this time is left. What it was sent may be published all the same. */
const ANSWER_TIMEOUT_MS = 1000;
const CONNECT_AGAIN_MS = 50;
/** After a standstill of this process, what is due is sent in bursts no longer than this. */
const MOST_A_TICK = 500;

interface Stream {
  readonly plan: StreamPlan;
  readonly publisher: number;
  readonly sent: { sentAt: number; answeredAt: number; outcome: SentMessage["outcome"] }[];
  node: string;
  /** Where its next messages go, when those in flight are answered: one at a time, or they could overtake each other. */
  nextNode: string | undefined;
  inFlight: number;
}

class Publishing {
  readonly #orders: Orders;
  readonly #streams: readonly Stream[];
  readonly #connections = new Map<string, BareConnection>();
  readonly #timer: NodeJS.Timeout;
  readonly #begin = now();
  #made = 0;
  #turn = 0;

  constructor(orders: Orders) {
    this.#orders = orders;
    this.#streams = orders.streams.map((plan, index) => ({
      plan,
      publisher: index % orders.publishers,
      sent: [],
      node: plan.at,
      nextNode: undefined,
      inFlight: 0,
    }));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Sends no more, and waits for the answers that are due. What was sent, stream by stream. */
  async stop(): Promise<readonly (readonly SentMessage[])[]> {
    clearInterval(this.#timer);
    const patience = now() + ANSWER_TIMEOUT_MS;
    while (this.#streams.some(({ inFlight }) => inFlight > 0) && now() < patience) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    for (const connection of this.#connections.values()) connection.close();
    return this.#streams.map(({ sent }) => sent);
  }

  #tick(): void {
    for (const connection of this.#connections.values()) connection.closeIfSilent(ANSWER_TIMEOUT_MS);
    const due = Math.floor(((now() - this.#begin) / 1000) * this.#orders.perSecond);
    const last = Math.min(due, this.#made + MOST_A_TICK);
    // A stream that cannot send loses its turn: the others keep their pace.
    for (; this.#made < last; this.#made++) this.#publish(this.#streams[this.#turn++ % this.#streams.length] as Stream);
  }

  #publish(stream: Stream): void {
    if (stream.nextNode !== undefined) {
      if (stream.inFlight > 0) return;
      stream.node = stream.nextNode;
      stream.nextNode = undefined;
    }
    const connection = this.#connection(stream);
    if (connection.state === "closed") this.#goElsewhere(stream);
    if (connection.state !== "open") return;
    const record: Stream["sent"][number] = { sentAt: now(), answeredAt: Number.POSITIVE_INFINITY, outcome: "unknown" };
    const args = commandOf(stream.plan, stream.sent.length);
    stream.sent.push(record);
    stream.inFlight++;
    connection.send(args, (reply) => {
      stream.inFlight--;
      if (reply === LOST) return this.#goElsewhere(stream);
      record.answeredAt = now();
      record.outcome = reply instanceof Error ? "refused" : "acknowledged";
      const moved = reply instanceof Error && /^MOVED \d+ (\S+)$/.exec(reply.message);
      if (moved) stream.nextNode = (moved[1] as string).startsWith(":") ? `127.0.0.1${moved[1]}` : moved[1];
    });
  }

  #goElsewhere(stream: Stream): void {
    if (stream.plan.kind === "channel") return;
    const { nodes } = this.#orders;
    stream.nextNode = nodes[(nodes.indexOf(stream.node) + 1) % nodes.length];
  }

  /** Each publisher has a connection of its own to each node that it publishes at. */
  #connection({ publisher, node }: Stream): BareConnection {
    const name = `${publisher} ${node}`;
    const known = this.#connections.get(name);
    if (known !== undefined && (known.state !== "closed" || now() - known.closedAt < CONNECT_AGAIN_MS)) return known;
    const connection = new BareConnection(node, this.#orders.ca);
    this.#connections.set(name, connection);
    return connection;
  }
}

function commandOf({ kind, name }: StreamPlan, number: number): readonly string[] {
  switch (kind) {
    case "channel":
      return ["PUBLISH", name, String(number)];
    case "shard":
      return ["SPUBLISH", name, String(number)];
    case "keyspace":
      return ["SET", `${name}:${number}`, "v"];
  }
}

let publishing: Publishing | undefined;
const tell = (told: Told) => process.send?.(told);
process.on("disconnect", () => process.exit(0));
process.on("message", async (wanted: Wanted) => {
  if (wanted.what === "publish") publishing = new Publishing(wanted.orders);
  else tell({ what: "sent", sent: (await publishing?.stop()) ?? [] });
});
tell({ what: "ready" });
