import { slotOf } from "../../src/index.ts";

/** A short key in the wanted slot. */
export function keyForSlot(slot: number, prefix = "k"): string {
  for (let number = 0; ; number++) {
    const key = `${prefix}${number}`;
    if (slotOf(key) === slot) return key;
  }
}
