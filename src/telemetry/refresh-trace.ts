import { type ClientInfo, type RefreshReason, refreshChannel } from "./channels.ts";
import { nextId, nextSeq } from "./sequence.ts";

/** Publishes one refresh of the topology: its beginning and its end. */
export class RefreshTrace {
  readonly #client: ClientInfo;
  readonly #refresh: number;
  readonly #reason: RefreshReason;

  private constructor(client: ClientInfo, reason: RefreshReason) {
    this.#client = client;
    this.#refresh = nextId(client, "refresh");
    this.#reason = reason;
    this.#tell("begun", undefined, undefined);
  }

  /** Undefined if nobody listens. */
  static begin(client: ClientInfo | undefined, reason: RefreshReason): RefreshTrace | undefined {
    return client === undefined || !refreshChannel.hasSubscribers ? undefined : new RefreshTrace(client, reason);
  }

  /**
   * @param adopted  Whether a view of the cluster was believed.
   * @param changed  Whether that changed the topology.
   */
  end(adopted: boolean, changed: boolean): void {
    this.#tell("ended", adopted, changed);
  }

  #tell(state: "begun" | "ended", adopted: boolean | undefined, changed: boolean | undefined): void {
    const about = { client: this.#client, refresh: this.#refresh, reason: this.#reason };
    refreshChannel.publish({ seq: nextSeq(), ...about, state, adopted, changed });
  }
}
