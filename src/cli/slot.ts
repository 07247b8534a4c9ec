import { InvalidArgumentError } from "../errors.ts";
import { hashTagOf, slotOf } from "../protocol/hash-slot.ts";
import { JSON_OPTION, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { jsonOf, printable, textOf } from "./printable.ts";

/** `slotwire slot`: shows the slot of each key. */
export const slot: Command = {
  usage: "KEY... [--json]",
  summary: "the hash slot of each key, and the key's hash tag if it has one",
  options: JSON_OPTION,
  run(args, terminal) {
    const { values, words } = readArguments(JSON_OPTION, args);
    if (words.length === 0) throw new InvalidArgumentError("slot needs at least one KEY.");
    const found = words.map((key) => ({ key, slot: slotOf(key), tag: hashTagOf(key) ?? null }));
    if (values.json) return `${jsonOf(found)}\n`;
    const lines = found.map(({ key, slot, tag }) => {
      return `${String(slot).padStart(5)}  ${printable(key)}${tag === null ? "" : `  (tag ${printable(tag)})`}`;
    });
    return textOf(lines, terminal.paint);
  },
};
