import { SLOT_COUNT, slotOf } from "../protocol/hash-slot.ts";

/*
 * A canary is a sharded channel of a slot, to which nobody publishes. When the slot leaves a node, the node ends the
 * subscription by itself, and so says what no invalidation says.
 */

/** In front of the names of all canaries. Users need the right to these channels: `&__slotwire__:*`. */
export const CANARY_PREFIX = "__slotwire__:";

const names: string[] = new Array(SLOT_COUNT);
let next = 0;

/** The canary of a slot. */
export function canaryOf(slot: number): string {
  while (names[slot] === undefined) {
    const tag = (next++).toString(36);
    names[slotOf(tag)] ??= `${CANARY_PREFIX}{${tag}}`;
  }
  return names[slot] as string;
}

/** The slot of a canary. Undefined for other channels. */
export function slotOfCanary(channel: string): number | undefined {
  return channel.startsWith(CANARY_PREFIX) ? slotOf(channel) : undefined;
}
