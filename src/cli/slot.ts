import { InvalidArgumentError } from "../errors.ts";
import { hashTagOf, slotOf } from "../protocol/hash-slot.ts";
import { JSON_OPTION, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";

/** `slotwire slot`: shows the slot of each key. */
export const slot: Command = {
  usage: "KEY... [--json]",
  summary: "the hash slot of each key, and the key's hash tag if it has one",
  options: JSON_OPTION,
  run(args) {
    const { values, words } = readArguments(JSON_OPTION, args);
    if (words.length === 0) throw new InvalidArgumentError("slot needs at least one KEY.");
    const found = words.map((key) => ({ key, slot: slotOf(key), tag: hashTagOf(key) ?? null }));
    if (values.json) return `${JSON.stringify(found)}\n`;
    return found
      .map(({ key, slot, tag }) => `${String(slot).padStart(5)}  ${key}${tag === null ? "" : `  (tag ${tag})`}\n`)
      .join("");
  },
};
