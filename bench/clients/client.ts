import type { ScriptName } from "./workload.ts";

/** A client under test, made ready: connected, and with the scripts where it wants them. */
export interface PeerClient {
  run(script: ScriptName, key: string, arg: string): Promise<unknown>;
  /** The writing script on 1,000 keys, sent together; replies in order. Undefined where there is no such thing. */
  batch: ((arg: string) => Promise<unknown[]>) | undefined;
  close(): Promise<void> | void;
}

/** How a client was set up, for the report. */
export interface Peer {
  readonly settings: string;
  connect(nodes: readonly string[]): Promise<PeerClient>;
}
