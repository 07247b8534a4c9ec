import {
  type AttemptMessage,
  attemptChannel,
  type ClientInfo,
  type CommandContext,
  type RedirectionMessage,
  redirectionChannel,
} from "../telemetry/channels.ts";

/** One attempt of a call. Times are milliseconds from the call's beginning. */
export interface Hop {
  /** From 1. */
  readonly attempt: number;
  /** The node, as announced. */
  readonly address: string;
  readonly at: number;
  /** As sent. */
  readonly command: string;
  readonly asking: boolean;
  /** Of the command, with its ASKING. */
  readonly bytes: number;
  /** Of the SCRIPT LOAD in front; 0 for none. */
  readonly loadBytes: number;
  /** Null for the last attempt: the call's own end answers it. */
  answer: Refusal | null;
}

/** Why there is another attempt. */
export interface Refusal {
  readonly at: number;
  /** `MOVED`, `ASK`, `NOSCRIPT`, ...; `LOST` when the connection went. */
  readonly kind: string;
  readonly to: string | null;
  readonly text: string;
}

/** Hears the diagnostics channels while one call of `client` is under way. */
export class HopRecorder {
  readonly hops: Hop[] = [];
  readonly #client: ClientInfo;
  /** The call of each hop: a command for many nodes is many calls. */
  readonly #calls: CommandContext[] = [];
  readonly #startedAt = performance.now();

  constructor(client: ClientInfo) {
    this.#client = client;
    attemptChannel.subscribe(this.#onAttempt);
    redirectionChannel.subscribe(this.#onRefusal);
  }

  /** Milliseconds since this was made. */
  get elapsed(): number {
    return performance.now() - this.#startedAt;
  }

  stop(): void {
    attemptChannel.unsubscribe(this.#onAttempt);
    redirectionChannel.unsubscribe(this.#onRefusal);
  }

  readonly #onAttempt = (message: unknown): void => {
    const { call, attempt, address, command, asking, bytes, loadBytes } = message as AttemptMessage;
    if (call.client !== this.#client) return;
    this.#calls.push(call);
    this.hops.push({ attempt, address, at: this.elapsed, command, asking, bytes, loadBytes, answer: null });
  };

  readonly #onRefusal = (message: unknown): void => {
    const { call, attempt, kind, to = null, text } = message as RedirectionMessage;
    const hop = this.hops.find((each, index) => this.#calls[index] === call && each.attempt === attempt);
    if (hop) hop.answer = { at: this.elapsed, kind, to, text };
  };
}
