import type { NodePool } from "../connection/node-pool.ts";
import type { Request } from "../connection/request.ts";
import type { Clock, Timer } from "../environment.ts";
import { ConnectionLostError } from "../errors.ts";
import { Call } from "./call.ts";
import type { NodeDirectory } from "./node-directory.ts";
import type { Placement } from "./placement.ts";

/** Milliseconds that a node has to tell a blocked call that its slot moved. Servers check about once a second. */
const LEFT_BEHIND_MS = 5000;

/** Lets calls that were not written follow their slots when the topology changes. */
export class Rerouting {
  readonly #directory: NodeDirectory;
  readonly #placement: Placement;
  readonly #clock: Clock;
  readonly #resend: (requests: readonly Request[]) => void;
  /** Of blocked calls whose slot has moved. */
  readonly #timers = new Set<Timer>();

  constructor(
    directory: NodeDirectory,
    placement: Placement,
    clock: Clock,
    resend: (requests: readonly Request[]) => void,
  ) {
    this.#directory = directory;
    this.#placement = placement;
    this.#clock = clock;
    this.#resend = resend;
  }

  /**
   * The topology changed. Calls that wait for a connection go, in order, to the present owner of their slot. So do
   * calls that are queued on a connection, because otherwise later calls of their slot would be written before them.
   */
  followSlots(): void {
    const lanes = this.#directory.nodes.flatMap(({ pools }) => pools.flatMap((pool) => pool.lanes));
    for (const lane of lanes) {
      const isWriting = lane.ready && !lane.inDoubt;
      this.#resend(isWriting ? lane.takeQueuedWhere((request) => this.#isForAnother(request)) : lane.takeQueued());
    }
    for (const { pool } of this.#directory.nodes) {
      this.#resend(pool.repeats.takeQueuedWhere((request) => this.#isForAnother(request)));
      this.#resend(pool.dedicated.takeWaitingWhere((request) => this.#isForAnother(request)));
      this.#giveUpLeftBehind(pool);
    }
  }

  /** Gives up blocked calls whose slot has moved, because a frozen node does not tell them. */
  #giveUpLeftBehind({ dedicated, address }: NodePool): void {
    const left = dedicated.carried.filter((request) => this.#isForAnother(request));
    if (left.length === 0) return;
    const lose = () => {
      this.#timers.delete(timer);
      const cause = new ConnectionLostError(address, "unknown", new Error("it does not own the slot any more"));
      const still = left.filter((request) => this.#isForAnother(request));
      dedicated.lose(still, cause);
    };
    const timer = this.#clock.setTimer(lose, LEFT_BEHIND_MS, true);
    this.#timers.add(timer);
  }

  /** The client ends. */
  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #isForAnother(request: Request): request is Call {
    return request instanceof Call && this.#placement.isForAnother(request);
  }
}
