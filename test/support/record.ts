import type { StudyEvent, StudyEventOf } from "../../src/cli/study/events.ts";

type Fields<T extends StudyEvent["type"]> = Omit<StudyEventOf<T>, "seq" | "at" | "type">;

/** Writes a record by hand: a call and its attempts. Each event comes 1 ms after the one before it, or later. */
export class RecordWriter {
  readonly events: StudyEvent[] = [];
  #at = 100;

  /** Lets time pass. */
  wait(ms: number): this {
    this.#at += ms;
    return this;
  }

  add<T extends StudyEvent["type"]>(type: T, fields: Fields<T>): this {
    this.events.push({ seq: this.events.length + 1, at: this.#at, type, ...fields } as unknown as StudyEvent);
    this.#at += 1;
    return this;
  }

  call(call: number, slot: number, command = "GET", script: Fields<"call">["script"] = null): this {
    return this.add("call", { call, command, script, slot, of: null });
  }

  queued(call: number, attempt: number, address: string, more: Partial<Fields<"queued">> = {}): this {
    return this.add("queued", {
      call,
      attempt,
      address,
      command: "GET",
      asking: false,
      bytes: 30,
      loadBytes: 0,
      ...more,
    });
  }

  sent(call: number, attempt: number, address: string, more: Partial<Fields<"queued">> = {}): this {
    this.queued(call, attempt, address, more);
    return this.add("written", { call, attempt, address, connection: 7, waitedMs: 0 });
  }

  answered(call: number, attempt: number, address: string, kind: string, text: string | null = null): this {
    return this.add("answered", { call, attempt, address, connection: 7, kind, bytes: 20, text });
  }

  decided(
    call: number,
    attempt: number,
    address: string | null,
    row: string,
    more: Partial<Fields<"decided">> = {},
  ): this {
    const retry = {
      verdict: "retry",
      to: { kind: "owner", address: null },
      asking: false,
      when: "after-backoff",
    } as const;
    const price = { backoffMs: 5, spends: "retry", learned: "nothing", remedy: null, outcome: null } as const;
    return this.add("decided", {
      ...{ call, attempt, address, failure: row.toUpperCase(), row, ...retry, ...price },
      ...{ redirections: 0, retries: attempt, ...more },
    });
  }

  settled(call: number, attempts: number, code: string | null = null, outcome: string | null = null): this {
    return this.add("settled", { call, attempts, address: null, code, outcome });
  }
}
