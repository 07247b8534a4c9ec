import {
  type AttemptMessage,
  attemptChannel,
  type ClientInfo,
  type CommandContext,
  type RedirectionMessage,
  redirectionChannel,
} from "../telemetry/channels.ts";

/** One attempt of a call. Times are milliseconds since the call began. */
export interface Hop {
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** The node's address, as announced. */
  readonly address: string;
  readonly at: number;
  /** The command's name, as sent. */
  readonly command: string;
  readonly asking: boolean;
  /** The bytes of the command, including its ASKING. */
  readonly bytes: number;
  /** The bytes of the SCRIPT LOAD in front of the command; 0 without one. */
  readonly loadBytes: number;
  /** The refusal of this attempt. Null for the last attempt, whose answer ends the call. */
  answer: Refusal | null;
}

/** The reason why another attempt follows. */
export interface Refusal {
  readonly at: number;
  /** `MOVED`, `ASK`, `NOSCRIPT` and so on, or `LOST` when the connection was lost. */
  readonly kind: string;
  readonly to: string | null;
  readonly text: string;
}

/** Listens to the diagnostics channels while one call of `client` is under way. */
export class HopRecorder {
  readonly hops: Hop[] = [];
  readonly #client: ClientInfo;
  /** The call of each hop. A command for many nodes is many calls. */
  readonly #calls: CommandContext[] = [];
  readonly #startedAt = performance.now();

  constructor(client: ClientInfo) {
    this.#client = client;
    attemptChannel.subscribe(this.#onAttempt);
    redirectionChannel.subscribe(this.#onRefusal);
  }

  /** Milliseconds since this recorder was made. */
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
