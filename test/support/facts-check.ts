import { isDeepStrictEqual } from "node:util";
import type { StudyEvent, StudyEventOf } from "../../src/cli/study/events.ts";
import { Recorder } from "../../src/cli/study/recorder.ts";
import { type Facts, NOTHING, reduce } from "../../src/cli/web/page/reduce.js";
import type { Client } from "../../src/client/client.ts";
import type { Environment } from "../../src/environment.ts";
import { WireTruth } from "./wire-truth.ts";

/** So many things that are wrong are told. */
const MOST_BROKEN = 10;

/** Clients of earlier records may still publish something. */
let newestClient = 0;

/**
 * Records what a client tells, reduces it to facts, and compares these, as often as `check` is called, with what the client
 * believes and with the bytes that came and went.
 */
export class FactsCheck {
  facts: Facts = NOTHING;
  readonly events: StudyEvent[] = [];
  readonly wire = new WireTruth();
  readonly #broken: string[] = [];
  readonly #recorder: Recorder;
  #client: Client | undefined;
  #topology: unknown;
  /** Commands of watching transactions are in no dispatcher. */
  #sawSession = false;
  readonly #checksItself: boolean;
  #isCheckDue = false;

  /**
   * @param now           The client's clock.
   * @param checksItself  Checks in each turn of the event loop in which something is told.
   */
  constructor(now: () => number, checksItself = false) {
    this.#checksItself = checksItself;
    this.#recorder = new Recorder({ now, onEvent: (event) => this.#onEvent(event) });
    let found = 0;
    this.#recorder.startWithNext(({ id }) => {
      if (found === 0 && id > newestClient) found = id;
      newestClient = Math.max(newestClient, found);
      return id === found;
    });
  }

  /** What was told wrong. */
  get broken(): readonly string[] {
    return [...this.#broken, ...this.wire.broken].slice(0, MOST_BROKEN).map((what) => `told wrong: ${what}`);
  }

  /** Wraps what opens connections. */
  open(open: Environment["open"]): Environment["open"] {
    return this.wire.wrap(open);
  }

  attach(client: Client): void {
    this.#client = client;
  }

  stop(): void {
    this.#recorder.stop();
  }

  /** To be called when the client has done all that it does now. */
  check(): void {
    this.wire.check();
    this.#checkConnections();
    const client = this.#client;
    if (client === undefined) return;
    this.#checkTopology(client);
    this.#checkScripts(client);
    this.#checkCalls(client);
  }

  #onEvent(event: StudyEvent): void {
    if (!isDeepStrictEqual(JSON.parse(JSON.stringify(event)), event)) this.#tell(`${event.type} is not JSON`);
    const last = this.events.at(-1);
    if (last !== undefined && (event.seq <= last.seq || event.at < last.at))
      this.#tell(`${event.type} is out of order`);
    if (event.type === "call" && event.command === "WATCH") this.#sawSession = true;
    if (event.type === "queued") {
      this.#checkIsExplained(event);
      // A change of the topology is told before any attempt that follows from it.
      if (this.#client !== undefined) this.#checkTopology(this.#client);
    }
    if (event.type === "written") this.#checkIsOpen(event.connection);
    this.events.push(event);
    this.wire.onEvent(event);
    this.facts = reduce(this.facts, event);
    if (!this.#checksItself || this.#isCheckDue) return;
    this.#isCheckDue = true;
    setImmediate(() => {
      this.#isCheckDue = false;
      this.check();
    });
  }

  /** Whatever was refused or lost is sent again only after a decision. */
  #checkIsExplained({ call: number, attempt, hedge }: StudyEventOf<"queued">): void {
    const call = this.facts.calls[number];
    const last = call?.attempts.at(-1);
    if (call === undefined || last === undefined) return;
    if (last.attempt !== attempt - 1)
      this.#tell(`attempt ${attempt} of call ${number} follows attempt ${last.attempt}`);
    // A hedge goes beside the attempt before it, and no decision is taken on a hedge.
    const decided = call.attempts.findLast((each) => each.hedge !== true);
    if (hedge === true || decided === undefined) return;
    // A group that was discarded or lost gives its calls back, and no table decides about them one by one.
    if (call.of !== null || (decided.place !== "answered" && decided.place !== "lost")) return;
    const isDecided = call.decisions.some((decision) => decision.attempt === decided.attempt);
    if (!isDecided) this.#tell(`call ${number} was ${decided.place}, and is sent again without a decision`);
  }

  #checkIsOpen(connection: number): void {
    if (this.facts.connections[connection]?.isOpen !== true) {
      this.#tell(`connection ${connection} is written on, and was not told as open`);
    }
  }

  #checkConnections(): void {
    for (const { id, isOpen } of Object.values(this.facts.connections)) {
      if (isOpen && !this.wire.isAlive(id)) this.#tell(`connection ${id} has ended, and that was not told`);
    }
    if (this.#client === undefined) return;
    for (const { id, address } of this.#client.telemetry.connections.all) {
      const told = this.facts.connections[id];
      if (told?.isOpen !== true || told.address !== address) this.#tell(`connection ${id} is open, and not told so`);
    }
  }

  #checkTopology({ topology }: Client): void {
    if (topology === this.#topology) return;
    this.#topology = topology;
    const nodes = topology.nodes.map(({ address, id, role, primary = null, health }) => ({
      address,
      role,
      id,
      primary,
      health,
    }));
    const ranges = topology.ranges.map(({ start, end, primary }) => ({ start, end, address: primary.address }));
    if (!isDeepStrictEqual(this.facts.topology.nodes, nodes)) this.#tell("the nodes are others than was told");
    if (!isDeepStrictEqual(this.facts.topology.ranges, ranges)) this.#tell("slots have other owners than was told");
  }

  #checkScripts({ nodes }: Client): void {
    for (const { address, scripts } of nodes) {
      const held = new Set(scripts.held.map(({ sha }) => sha));
      const told = Object.entries(this.facts.scripts[address] ?? {}).filter(([, { state }]) => state === "held");
      for (const [sha, { name }] of told)
        if (!held.has(sha)) this.#tell(`${address} is not believed to hold ${name} ${sha}`);
      if (told.length < held.size) this.#tell(`${address} is believed to hold more scripts than was told`);
    }
  }

  #checkCalls({ dispatcher }: Client): void {
    const told = Object.keys(this.facts.calls).length;
    if (this.#sawSession ? told < dispatcher.live : told !== dispatcher.live) {
      this.#tell(`${dispatcher.live} calls are under way, and ${told} are told to be`);
    }
  }

  #tell(what: string): void {
    if (this.#broken.length < MOST_BROKEN) this.#broken.push(what);
  }
}
