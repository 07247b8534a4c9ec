import { channel, tracingChannel } from "node:diagnostics_channel";

/** One message of a diagnostics channel, as it was when it came. */
export interface Heard {
  /** `command:start`, `attempt`, ... without the `slotwire:` in front. */
  readonly on: string;
  readonly message: Record<string, unknown>;
  /** The object itself. */
  readonly original: object;
}

const TRACING = ["command", "batch", "operation", "connect"];
const POINTS = [
  "attempt",
  "wait",
  "written",
  "answer",
  "decision",
  "redirection",
  "script-missing",
  "load",
  "audit",
  "preload",
  "topology",
  "refresh",
  "disconnect",
  "topic",
  "message",
  "gap",
  "cache",
];
const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;

/** Listens to the channels named, or all, until `stop`. */
export class Ear {
  readonly heard: Heard[] = [];
  readonly #stops: (() => void)[] = [];

  constructor(...names: string[]) {
    const wanted = (name: string) => names.length === 0 || names.includes(name);
    for (const name of POINTS.filter(wanted)) this.#listen(channel(`slotwire:${name}`), name);
    for (const name of TRACING.filter(wanted)) {
      const tracing = tracingChannel(`slotwire:${name}`);
      for (const event of EVENTS) this.#listen(tracing[event], `${name}:${event}`);
    }
  }

  /** What was heard, by name, in order. */
  get names(): string[] {
    return this.heard.map(({ on }) => on);
  }

  /** The messages of one name. */
  all(on: string): Record<string, unknown>[] {
    return this.heard.filter((each) => each.on === on).map(({ message }) => message);
  }

  /** Takes what was heard so far. */
  take(): Heard[] {
    return this.heard.splice(0);
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  #listen(on: ReturnType<typeof channel>, name: string): void {
    const hear = (message: unknown) => {
      this.heard.push({ on: name, message: { ...(message as object) }, original: message as object });
    };
    on.subscribe(hear);
    this.#stops.push(() => void on.unsubscribe(hear));
  }
}
