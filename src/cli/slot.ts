import { parseArgs } from "node:util";
import { InvalidArgumentError } from "../errors.ts";
import { hashTagOf, slotOf } from "../protocol/hash-slot.ts";
import type { Command } from "./command.ts";

/** `slotwire slot`: which slot each key is in. */
export const slot: Command = {
  usage: "slot KEY... [--json]",
  summary: "the hash slot of each key, and the hash tag it comes from",
  run(args) {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { json: { type: "boolean" } } });
    if (positionals.length === 0) throw new InvalidArgumentError("slot takes at least one KEY.");
    const found = positionals.map((key) => ({ key, slot: slotOf(key), tag: hashTagOf(key) ?? null }));
    if (values.json) return `${JSON.stringify(found)}\n`;
    return found
      .map(({ key, slot, tag }) => `${String(slot).padStart(5)}  ${key}${tag === null ? "" : `  (tag ${tag})`}\n`)
      .join("");
  },
};
