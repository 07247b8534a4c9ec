import { AsyncResource } from "node:async_hooks";
import {
  areCallsHeard,
  type ClientInfo,
  isHeard,
  type OperationContext,
  operationChannel,
  presentable,
  traced,
} from "./channels.ts";
import { nextId, nextSeq } from "./sequence.ts";

/** The resource is destroyed when its operation ends, and not when the garbage collector finds it. */
const MANUAL = { requireManualDestroy: true };

/** Publishes an operation that goes on between the requests of its user: a scan. */
export class OperationTrace {
  readonly context: OperationContext;
  /** Holds the values of the bound stores as they were when the operation began. */
  readonly #beginning: AsyncResource;

  private constructor(context: OperationContext) {
    this.context = context;
    this.#beginning = operationChannel.start.runStores(context, () => new AsyncResource("slotwire.operation", MANUAL));
    context.seq = nextSeq();
    operationChannel.end.publish(context);
  }

  /** Undefined if nobody listens. */
  static ofScan(client: ClientInfo): OperationTrace | undefined {
    if (!isHeard(operationChannel) && !areCallsHeard()) return undefined;
    return new OperationTrace({
      seq: nextSeq(),
      id: nextId(client, "operation"),
      client,
      operation: "scan",
      command: "SCAN",
    });
  }

  onEnd(error: unknown): void {
    if (error instanceof Error) this.context.error = presentable(error);
    this.#beginning.runInAsyncScope(publishEnd, undefined, this.context);
    this.#beginning.emitDestroy();
  }
}

function publishEnd(context: OperationContext): void {
  if (context.error !== undefined) {
    context.seq = nextSeq();
    operationChannel.error.publish(context);
  }
  context.seq = nextSeq();
  operationChannel.asyncStart.publish(context);
  context.seq = nextSeq();
  operationChannel.asyncEnd.publish(context);
}

/** Runs `wait` and publishes it as one WAIT. `wait` gets the context if anybody listens. */
export function tracedWait<T>(client: ClientInfo, wait: (context?: OperationContext) => Promise<T>): Promise<T> {
  if (!isHeard(operationChannel) && !areCallsHeard()) return wait();
  const context: OperationContext = {
    seq: 0,
    id: nextId(client, "operation"),
    client,
    operation: "wait",
    command: "WAIT",
  };
  return traced(operationChannel, context, () => wait(context));
}
