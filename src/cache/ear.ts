import type { Receiver } from "../connection/connection.ts";
import type { Reply } from "../protocol/reply.ts";
import { slotOfCanary } from "./canary.ts";

/** The channel on which a server tells of changed keys over RESP2. */
export const INVALIDATIONS = "__redis__:invalidate";

/** What a server tells unasked. */
export interface EarEvents {
  /** A key has changed. @param key  As a binary string. */
  onInvalidation(key: string): void;
  /** Everything has changed. */
  onFlush(): void;
  /** A slot has left the node. */
  onSlotLeft(slot: number): void;
}

/**
 * Takes what a server says unasked on the connection that hears.
 *
 *   ["message", "__redis__:invalidate", [key, ...] or null]      ["sunsubscribe", canary, count]
 */
export class Ear implements Receiver {
  /** Keys can be any bytes. */
  readonly wantsBuffers = true;
  readonly #events: EarEvents;

  constructor(events: EarEvents) {
    this.#events = events;
  }

  takePushed(reply: Reply): boolean {
    if (!Array.isArray(reply)) return false;
    const word = textOf(reply[0]);
    if (word === "message") {
      if (textOf(reply[1]) === INVALIDATIONS) this.#invalidate(reply[2]);
      return true;
    }
    if (word === "sunsubscribe") {
      const slot = slotOfCanary(textOf(reply[1]) ?? "");
      if (slot !== undefined) this.#events.onSlotLeft(slot);
      return true;
    }
    // Somebody publishes to a canary.
    return word === "smessage";
  }

  #invalidate(keys: Reply | undefined): void {
    // Any other payload is somebody's own message. It says nothing, so everything is in doubt.
    if (!Array.isArray(keys)) this.#events.onFlush();
    else for (const key of keys) this.#events.onInvalidation(textOf(key) ?? "");
  }
}

/** A string of a reply as a binary string. */
export function textOf(part: Reply | undefined): string | undefined {
  return Buffer.isBuffer(part) ? part.toString("latin1") : typeof part === "string" ? part : undefined;
}
