import type { Client } from "../client/client.ts";
import {
  AbortedError,
  ClosedError,
  ConnectionLostError,
  InvalidArgumentError,
  ProtocolError,
  ReplyError,
  UnavailableError,
} from "../errors.ts";
import { wholeNumber } from "../options.ts";
import { kindOf } from "../protocol/encode.ts";
import { slotOf } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { OperationContext } from "../telemetry/channels.ts";
import { OperationTrace } from "../telemetry/operation-trace.ts";
import { holdingsOf, parseHoldings, type SlotHoldings } from "../topology/slot-holdings.ts";
import { CallFactory, naming } from "./call-factory.ts";
import { limitsOf } from "./host.ts";
import { Operation } from "./operation.ts";
import { ScanCoverage, type ScanPass } from "./scan-coverage.ts";
import { decideAfterAsking, decideAfterLook, decideAfterPass, decideAfterQuestion, pauseMs } from "./scan-decisions.ts";
import type { ViewSettings } from "./view.ts";

/** The options of `scan`. */
export interface ScanOptions {
  /**
   * A glob pattern, as KEYS takes it: `"user:*"`. The servers match it.
   * @default all keys
   */
  readonly match?: string | Buffer | Uint8Array | undefined;
  /**
   * About how many keys a server looks at in one step, 1 to 2,147,483,647.
   * @default 100
   */
  readonly count?: number | undefined;
  /**
   * Only keys of this type: `"string"`, `"hash"`, `"zset"`, ...
   * @default all types
   */
  readonly type?: string | undefined;
}

/** Milliseconds between two looks at a node's slots during a pass. While slots move, each step has a look behind it. */
const OBSERVE_MS = 50;
const DEFAULT_COUNT = 100;

/**
 * The arguments of SCAN behind the cursor.
 * @throws {InvalidArgumentError} naming the option.
 */
export function scanArguments(options: ScanOptions): Argument[] {
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError(`scan: the options are ${kindOf(options)}; accepted is an object.`);
  }
  const { match, count, type, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`scan: there is no option "${unknown}"; accepted are match, count, type.`);
  }
  if (match !== undefined && typeof match !== "string" && !(match instanceof Uint8Array)) {
    throw new InvalidArgumentError(`scan: match is ${kindOf(match)}; accepted are string, Buffer and Uint8Array.`);
  }
  if (type !== undefined && (typeof type !== "string" || type === "")) {
    throw new InvalidArgumentError(`scan: type is ${type === "" ? "empty" : kindOf(type)}; accepted is a type's name.`);
  }
  const most = 2 ** 31 - 1;
  const args: Argument[] = ["COUNT", wholeNumber("count", count, { fallback: DEFAULT_COUNT, least: 1, most })];
  if (match !== undefined) args.push("MATCH", typeof match === "string" ? match : Buffer.from(match));
  if (type !== undefined) args.push("TYPE", type);
  return args;
}

/** In place of the answer of a node that serves no slots any more. */
const ABANDONED = Symbol("abandoned");

/**
 * Scans all slots of a cluster, one node after the other. Slots that moved meanwhile are scanned again: see
 * `ScanCoverage`.
 *
 * Each request for the next key is an operation. The operation is renewed with every step, which is a SCAN with the
 * questions that go with it. Between two requests nothing is under way.
 */
export class Scan {
  readonly #client: Client;
  readonly #view: ViewSettings;
  readonly #factory: CallFactory;
  readonly #args: readonly Argument[];
  readonly #coverage = new ScanCoverage();
  #operation: Operation | undefined;
  /** The whole scan, while somebody listens. */
  #context: OperationContext | undefined;

  constructor(client: Client, view: ViewSettings, args: readonly Argument[]) {
    this.#client = client;
    this.#view = view;
    // A key's slot is computed from its bytes, which need not be text.
    this.#factory = new CallFactory(client, { ...view, replies: "buffer" });
    this.#args = args;
  }

  async *keys(): AsyncGenerator<string | Buffer, void, undefined> {
    const trace = OperationTrace.ofScan(this.#client.telemetry.client);
    this.#context = trace?.context;
    let failure: unknown;
    try {
      yield* this.#passes();
    } catch (error) {
      failure = naming(error, "SCAN", true);
      throw failure;
    } finally {
      this.#operation?.end();
      trace?.onEnd(failure);
    }
  }

  async *#passes(): AsyncGenerator<string | Buffer, void, undefined> {
    const { open } = this.#coverage;
    let fruitless = 0;
    while (open.size > 0) {
      const before = open.size;
      this.#step();
      const node = this.#nextNode();
      if (node !== undefined) yield* this.#pass(node);
      fruitless = open.size < before ? 0 : fruitless + 1;
      const next = decideAfterPass(fruitless, node !== undefined);
      if (next === "give-up") throw this.#stuck();
      if (next === "settle") await this.#settle(fruitless);
    }
  }

  /** Begins a step: the first one of a request, or one more. */
  #step(): Operation {
    const limits = { ...limitsOf(this.#view), context: this.#context };
    if (this.#operation === undefined) this.#operation = Operation.begin(this.#client, limits);
    else this.#operation.renew();
    return this.#operation;
  }

  /** Ends the operation, because the request for the next key is answered. */
  #answered(): void {
    this.#operation?.end();
    this.#operation = undefined;
  }

  /** The owner of an open slot. If only half done slots are left, the node that one of these has to be scanned on. */
  #nextNode(): ClusterNode | undefined {
    const { nodes, dispatcher } = this.#client;
    let half: number | undefined;
    for (const slot of this.#coverage.open) {
      if (this.#coverage.targetOf(slot) !== undefined) half ??= slot;
      else {
        const owner = dispatcher.ownerOf(slot);
        if (owner !== undefined) return owner;
      }
    }
    if (half === undefined) return undefined;
    const target = this.#coverage.targetOf(half);
    const node = nodes.find(({ info }) => info.id === target && info.role === "primary");
    if (node === undefined) this.#coverage.reopen(half);
    return node ?? dispatcher.ownerOf(half);
  }

  async *#pass(node: ClusterNode): AsyncGenerator<string | Buffer, void, undefined> {
    const runId = await this.#runIdOf(node);
    const first = await this.#holdingsOf(node);
    if (first === undefined) return;
    const pass = this.#coverage.pass(first);
    const { clock } = this.#client.environment;
    let observedAt = clock.now();
    let [cursor, settledCursor] = ["0", "0"];
    let careful = 0;
    while (pass.size > 0) {
      this.#step();
      const reply = await this.#ask(node, "SCAN", [cursor, ...this.#args]);
      if (reply === ABANDONED) return;
      const [next, keys] = pageOf(reply);
      cursor = next.toString();
      if (careful > 0 || cursor === "0" || clock.now() - observedAt >= OBSERVE_MS) {
        const holdings = await this.#holdingsOf(node);
        if (holdings === undefined) return;
        observedAt = clock.now();
        const look = decideAfterLook(pass.observe(holdings), careful);
        careful = look.careful;
        if (look.takesAgain) {
          cursor = settledCursor;
          continue;
        }
        settledCursor = cursor;
      }
      for (const key of this.#wanted(keys, pass)) {
        this.#answered();
        yield key;
      }
      if (cursor !== "0") continue;
      // Another process has its keys in another order, so a cursor of this process meant nothing there.
      if ((await this.#runIdOf(node)) === runId) this.#coverage.complete(pass);
      return;
    }
  }

  *#wanted(keys: readonly Buffer[], pass: ScanPass): Generator<string | Buffer, void, undefined> {
    const areBuffers = this.#view.replies === "buffer";
    for (const key of keys) if (pass.has(slotOf(key))) yield areBuffers ? key : key.toString();
  }

  /** The slots of the node by its own account; undefined when the node serves no slots any more. */
  async #holdingsOf(node: ClusterNode): Promise<SlotHoldings | undefined> {
    const { topology } = this.#client;
    // A server without cluster mode has every slot.
    if (node.info.id === "") return holdingsOf(topology, node.info);
    const reply = await this.#mayAsk(node, "CLUSTER", ["NODES"]);
    if (reply === ABANDONED) return undefined;
    return parseHoldings(String(reply)) ?? holdingsOf(this.#client.topology, node.info);
  }

  /**
   * The id of the server process. It tells one process at an address from another. Undefined where nobody may ask, as
   * in `mode: "single"`.
   */
  async #runIdOf(node: ClusterNode): Promise<string | undefined> {
    if (this.#client.options.mode === "single") return undefined;
    const reply = await this.#mayAsk(node, "INFO", ["server"]);
    return reply === ABANDONED ? undefined : /^run_id:(\w+)/m.exec(String(reply))?.[1];
  }

  /** The answer to a question about a node; null where the user may not ask it. */
  async #mayAsk(node: ClusterNode, name: string, args: readonly Argument[]): Promise<Reply | typeof ABANDONED> {
    for (let repeats = 0; ; repeats++) {
      try {
        return await this.#ask(node, name, args);
      } catch (error) {
        const isLost = error instanceof ConnectionLostError;
        const next = decideAfterQuestion(error instanceof ReplyError ? "refused" : isLost ? "lost" : "other", repeats);
        if (next === "none") return null;
        if (next === "reject") throw error;
      }
    }
  }

  /** Asks one node. Resolves to `ABANDONED` when the node serves no slots any more. */
  async #ask(node: ClusterNode, name: string, args: readonly Argument[]): Promise<Reply | typeof ABANDONED> {
    const operation = this.#operation ?? this.#step();
    let stopListening = () => {};
    try {
      return await new Promise<Reply>((resolve, reject) => {
        const call = this.#factory.commandFor(node, name, args, this.#view.timeoutMs, resolve, reject);
        stopListening = this.#client.onTopology(() => {
          if (!this.#serves(node)) call.reject(new UnavailableError(`${node.address} serves no slots any more`));
        });
        operation.sendWhenRoom(call);
      });
    } catch (error) {
      const wasEnded = error instanceof AbortedError || error instanceof ClosedError;
      if (decideAfterAsking(wasEnded, this.#serves(node)) === "reject") throw error;
      return ABANDONED;
    } finally {
      stopListening();
    }
  }

  /** Whether a node serves slots. A primary that is down counts as long as no other node owns its slots. */
  #serves(node: ClusterNode): boolean {
    const { nodes, topology } = this.#client;
    const { role, health } = node.info;
    if (role !== "primary" || !nodes.includes(node)) return false;
    return health !== "fail" || topology.slotOwners.has(node.info);
  }

  /** Waits, because slots are moving, or because the client does not know where they are. */
  async #settle(fruitless: number): Promise<void> {
    const operation = this.#step();
    await operation.wait(this.#client.refresh().catch(() => {}));
    await operation.pause(pauseMs(fruitless, this.#client.environment.random()));
  }

  #stuck(): UnavailableError {
    const [slot = 0] = this.#coverage.open;
    const owner = this.#client.topology.primaryOf(slot)?.address;
    const what = owner === undefined ? `No node serves slot ${slot}` : `Slot ${slot} of ${owner} did not come to rest`;
    const advice =
      '"redis-cli --cluster fix HOST:PORT" closes slots that were left half moved, and gives each an owner.';
    return new UnavailableError(`${what}, and its keys could not all be scanned`, new Map(), "executed", advice);
  }
}

function pageOf(reply: Reply): readonly [cursor: Buffer, keys: readonly Buffer[]] {
  const [cursor, keys] = Array.isArray(reply) ? reply : [];
  if (!Buffer.isBuffer(cursor) || !Array.isArray(keys) || !keys.every((key) => Buffer.isBuffer(key))) {
    throw new ProtocolError("SCAN was answered with something other than a cursor and keys.", "executed");
  }
  return [cursor, keys];
}
