import type { ScriptName } from "./workload.ts";

/** A client under test that is ready: connected, and with its scripts loaded as it needs them. */
export interface PeerClient {
  run(script: ScriptName, key: string, arg: string): Promise<unknown>;
  /**
   * Sends calls of the writing script on 1,000 keys together; replies in order. Undefined if the client has no batches.
   */
  batch: ((arg: string) => Promise<unknown[]>) | undefined;
  close(): Promise<void> | void;
}

/** The settings of a client, for the report. */
export interface Peer {
  readonly settings: string;
  connect(nodes: readonly string[]): Promise<PeerClient>;
}
