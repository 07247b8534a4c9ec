import { openText } from "./draw-condition.ts";
import { wrapped } from "./draw-text.ts";
import { printable } from "./printable.ts";
import type { Keyed, Owned } from "./slot.ts";
import { listed } from "./study/condition.ts";
import { shardOf } from "./study/node-names.ts";
import type { Paint } from "./terminal.ts";

/** The columns of a slot's number and the space behind it. */
const MARGIN = " ".repeat(7);

/** Keys with their slots, as lines; below each key the owner of its slot, if the servers were asked. */
export function drawSlots(found: readonly (Keyed | Owned)[], width: number, paint: Paint): string[] {
  return found.flatMap((each) => {
    const { key, slot, tag } = each;
    const line = `${String(slot).padStart(5)}  ${printable(key)}${tag === null ? "" : `  (tag ${printable(tag)})`}`;
    return "owner" in each ? [line, ...ownerLines(each, width, paint)] : [line];
  });
}

function ownerLines(owned: Owned, width: number, paint: Paint): string[] {
  const { owner, replicas, open, unserved, disagreement } = owned;
  const nodeText = ({ name, address }: Owned["replicas"][number]) => `${name} at ${address || "an unknown address"}`;
  const copies = replicas.length === 0 ? ["no replica"] : replicas.map((node) => `replica ${nodeText(node)}`);
  const said = disagreement?.map(({ owner: named, by }) => `${listed(by)}: ${named ?? "nobody"}`).join("; ");
  const say = (text: string, style: (line: string) => string) => wrapped(text, width, MARGIN).map(style);
  const hue = (line: string) => (owner === null ? line : paint.hue(shardOf(owner.name), line));
  return [
    ...(owner === null
      ? say("no node takes the slot for its own", paint.alarm)
      : say([`owner ${nodeText(owner)}`, ...copies].join(", "), hue)),
    ...(unserved === null || unserved === "no-owner" ? [] : say(UNSERVED[unserved], paint.alarm)),
    ...(open === null ? [] : say(openText(open), paint.strong)),
    ...(said === undefined ? [] : say(`the nodes disagree: ${said}`, paint.alarm)),
  ];
}

const UNSERVED = {
  failed: "not served: the owner has failed",
  silent: "not served: the owner does not answer",
  refuses: "not served: the owner answers CLUSTERDOWN, because its own cluster_state is fail",
} as const;
