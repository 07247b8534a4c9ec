import type { Client } from "../../client/client.ts";
import {
  type AnswerMessage,
  type AttemptMessage,
  type AuditMessage,
  answerChannel,
  attemptChannel,
  auditChannel,
  type ClientInfo,
  type CommandContext,
  type ConnectContext,
  commandChannel,
  connectChannel,
  type DecisionMessage,
  type DisconnectMessage,
  decisionChannel,
  disconnectChannel,
  type LoadMessage,
  loadChannel,
  type RefreshMessage,
  refreshChannel,
  type TopologyMessage,
  topologyChannel,
  type WrittenMessage,
  writtenChannel,
} from "../../telemetry/channels.ts";
import { Topology } from "../../topology/topology.ts";
import { differenceOf } from "../../topology/topology-difference.ts";
import type { StudyEvent } from "./events.ts";

/** A `StudyEvent` without the fields that the recorder sets. */
export type Happening = StudyEvent extends infer E ? (E extends StudyEvent ? Omit<E, "seq" | "at"> : never) : never;

/** The settings of a recorder. */
export interface RecorderOptions {
  /** Called with each event, in order. */
  readonly onEvent: (event: StudyEvent) => void;
  /**
   * Milliseconds on a clock that only goes forward.
   * @default performance.now
   */
  readonly now?: () => number;
}

interface Subscribable {
  subscribe(listener: (message: unknown) => void): void;
  unsubscribe(listener: (message: unknown) => void): unknown;
}

/**
 * Listens to the diagnostics channels and makes a record of what they tell of one client: `StudyEvent`s, which JSON can
 * hold. Whoever has more to tell (bytes, the servers' state, actions) adds it with `add`, so that there is one sequence.
 */
export class Recorder {
  readonly #onEvent: (event: StudyEvent) => void;
  readonly #now: () => number;
  readonly #beganAt: number;
  readonly #ends: (() => void)[] = [];
  #seq = 0;
  #isMeant: (client: ClientInfo) => boolean = () => false;

  constructor({ onEvent, now = () => performance.now() }: RecorderOptions) {
    this.#onEvent = onEvent;
    this.#now = now;
    this.#beganAt = now();
  }

  /** Milliseconds since the record began. */
  get elapsed(): number {
    return this.#now() - this.#beganAt;
  }

  /**
   * Begins to record what `client` does. First come events that tell its present state: the topology, the open connections,
   * and the scripts that it believes the nodes to hold. Calls that are under way are not told.
   */
  start(client: Client): this {
    const info = client.telemetry.client;
    this.#listen((each) => each === info);
    this.#tellPresent(client);
    return this;
  }

  /**
   * Begins to record a client that is not connected yet: the first one of which a message comes and that `isMeant` accepts.
   */
  startWithNext(isMeant: (client: ClientInfo) => boolean = () => true): this {
    let found: ClientInfo | undefined;
    this.#listen((each) => {
      if (found === undefined && isMeant(each)) found = each;
      return each === found;
    });
    return this;
  }

  /** Ends the record. It can be started again, for another client too. */
  stop(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  /** Adds an event: sets its number and its time. */
  add(happening: Happening): StudyEvent {
    const event = { seq: ++this.#seq, at: this.elapsed, ...happening } as StudyEvent;
    this.#onEvent(event);
    return event;
  }

  #listen(isMeant: (client: ClientInfo) => boolean): void {
    this.stop();
    this.#isMeant = isMeant;
    this.#hear(commandChannel.start, clientOfContext, callOf);
    this.#hear(attemptChannel, clientOfCall, queuedOf);
    this.#hear(writtenChannel, clientOfCall, writtenOf);
    this.#hear(answerChannel, clientOfCall, answeredOf);
    this.#hear(decisionChannel, clientOfCall, decidedOf);
    this.#hear(commandChannel.asyncEnd, clientOfContext, settledOf);
    this.#hear(connectChannel.start, clientOfContext, connectingOf);
    this.#hear(connectChannel.asyncEnd, clientOfContext, connectedOf);
    this.#hear(disconnectChannel, clientOfContext, disconnectedOf);
    this.#hear(loadChannel, clientOfContext, loadOf);
    this.#hear(auditChannel, clientOfContext, auditedOf);
    this.#hear(refreshChannel, clientOfContext, refreshOf);
    this.#hear(topologyChannel, clientOfContext, topologyOf);
  }

  #hear<M>(channel: Subscribable, clientOf: (message: M) => ClientInfo, happeningOf: (message: M) => Happening): void {
    const listener = (message: unknown) => {
      if (this.#isMeant(clientOf(message as M))) this.add(happeningOf(message as M));
    };
    channel.subscribe(listener);
    this.#ends.push(() => void channel.unsubscribe(listener));
  }

  #tellPresent({ topology, telemetry, nodes }: Client): void {
    const nothing = Topology.from({ nodes: [], slots: [] });
    this.add(topologyOf({ seq: 0, client: telemetry.client, reason: "first", ...differenceOf(topology, nothing) }));
    for (const { id: connection, address, readOnly } of telemetry.connections.all) {
      this.add({ type: "connecting", connection, address, readOnly, attempt: 1 });
      this.add({ type: "connected", connection, address, error: null });
    }
    for (const { address, scripts } of nodes) {
      const held = scripts.held.map(({ name, sha }) => ({ name, sha }));
      if (held.length > 0) this.add({ type: "audited", address, why: "told", asked: 0, held, missing: [] });
    }
  }
}

const clientOfContext = ({ client }: { readonly client: ClientInfo }) => client;
const clientOfCall = ({ call }: { readonly call: CommandContext }) => call.client;

function callOf({ id, command, script, slot, batch, operation }: CommandContext): Happening {
  return { type: "call", call: id, command, script: script ?? null, slot, of: batch?.id ?? operation?.id ?? null };
}

function queuedOf({ call, attempt, address, command, asking, bytes, loadBytes, hedge }: AttemptMessage): Happening {
  const beside = hedge === true ? { hedge } : {};
  return { type: "queued", call: call.id, attempt, address, command, asking, bytes, loadBytes, ...beside };
}

function writtenOf({ call, attempt, address, connection, waitedMs }: WrittenMessage): Happening {
  return { type: "written", call: call.id, attempt, address, connection, waitedMs };
}

function answeredOf({ call, attempt, address, connection, kind, bytes, text }: AnswerMessage): Happening {
  return { type: "answered", call: call.id, attempt, address, connection, kind, bytes, text: text ?? null };
}

function decidedOf(message: DecisionMessage): Happening {
  const { call, attempt, failure, row, verdict, to, asking, learned, redirections, retries } = message;
  return {
    type: "decided",
    call: call.id,
    attempt,
    address: message.address ?? null,
    failure,
    row,
    verdict,
    to: to === undefined ? null : { kind: to.kind, address: to.address ?? null },
    asking,
    when: message.when ?? null,
    backoffMs: message.backoffMs ?? null,
    spends: message.spends ?? null,
    learned,
    remedy: message.remedy ?? null,
    outcome: message.outcome ?? null,
    redirections,
    retries,
  };
}

function settledOf({ id, attempts, address, error }: CommandContext): Happening {
  const { code = "OTHER", outcome } = (error ?? {}) as { readonly code?: string; readonly outcome?: string };
  return {
    type: "settled",
    call: id,
    attempts,
    address: address ?? null,
    code: error === undefined ? null : code,
    outcome: outcome ?? null,
  };
}

function connectingOf({ id, address, readOnly, attempt }: ConnectContext): Happening {
  return { type: "connecting", connection: id, address, readOnly, attempt };
}

function connectedOf({ id, address, error }: ConnectContext): Happening {
  return { type: "connected", connection: id, address, error: error === undefined ? null : error.message };
}

function disconnectedOf({ id, address, reason, awaiting }: DisconnectMessage): Happening {
  return { type: "disconnected", connection: id, address, reason, awaiting };
}

function loadOf({ load, address, script, why, call, state, error }: LoadMessage): Happening {
  if (state === "begun") return { type: "load", load, address, script, why, call: call?.id ?? null };
  return { type: "loaded", load, address, script, error: state === "lost" ? "LOST" : (error ?? null) };
}

function auditedOf({ address, why, asked, held, missing }: AuditMessage): Happening {
  return { type: "audited", address, why, asked, held, missing };
}

function refreshOf({ refresh, reason, state, adopted = false, changed = false }: RefreshMessage): Happening {
  return state === "begun" ? { type: "refreshing", refresh, reason } : { type: "refreshed", refresh, adopted, changed };
}

function topologyOf({ reason, nodes, added, removed, promoted, moved }: TopologyMessage): Happening {
  return {
    type: "topology",
    reason,
    nodes: nodes.map((node) => ({ ...node, primary: node.primary ?? null })),
    added,
    removed,
    promoted,
    moved: moved.map(({ start, end, from, to }) => ({ start, end, from: from ?? null, to: to ?? null })),
  };
}
