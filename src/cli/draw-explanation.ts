import { columnsOf, cut } from "./draw-text.ts";
import type { Explanation } from "./explanation.ts";
import type { Hop } from "./hop-recorder.ts";
import { printable, quoted } from "./printable.ts";
import type { Paint } from "./terminal.ts";

const LABEL = 10;
const TIME = 9;

/**
 * A call as lines of at most `width` columns: its slot, the slot's owner, the nodes that know the script, every hop,
 * and the end of the call.
 */
export function drawExplanation(explanation: Explanation, width: number, paint: Paint): string[] {
  const lines = [...subjectOf(explanation, paint), "", ...hopsOf(explanation, paint), ...endOf(explanation)];
  return lines.map((line) => cut(line, width).trimEnd());
}

/** The texts for a call that does not go to the owner of one slot. */
const PLACES = {
  slots: ["slots", "several: the call is sent in parts, each to the owner of its slot"],
  primaries: ["no slot", "the call goes to all primaries"],
  all: ["no slot", "the call goes to all nodes"],
  one: ["no key", "any primary can serve the call"],
} as const satisfies Record<string, readonly [label: string, text: string]>;

function subjectOf(explanation: Explanation, paint: Paint): string[] {
  const { script, command, keys, slot, spread, owner, replicas, known, hops } = explanation;
  const lines: string[] = [];
  const add = (label: string, text: string) => void lines.push(label.padEnd(LABEL) + text);
  if (script) add("script", `${printable(script.name)}, ${script.bytes} bytes, SHA-1 ${paint.faint(script.sha)}`);
  else add("command", printable(command.toUpperCase()));
  for (const { key, slot, tag, crc16 } of keys) {
    add("key", printable(key));
    add("", `${markOf(key, tag)}  CRC16 ${crc16}, modulo 16384: slot ${paint.strong(String(slot))}`);
  }
  const [label, text] = PLACES[spread ?? "one"];
  if (slot === null) add(label, text);
  else
    add(
      "owner",
      owner === null ? paint.alarm(`nobody owns slot ${slot}`) : printable(owner) + knowing(known[owner], paint),
    );
  for (const replica of replicas) add("replica", printable(replica) + knowing(known[replica], paint));
  const slotNodes = new Set([owner, ...replicas]);
  for (const [address, knows] of Object.entries(known)) {
    if (slotNodes.has(address)) continue;
    add(address === hops[0]?.address ? "begins at" : "node", printable(address) + knowing(knows, paint));
  }
  return lines;
}

/** The line below a key: a caret under each character that is hashed. */
function markOf(key: string, tag: string | null): string {
  const before = tag === null ? "" : key.slice(0, key.indexOf("{") + 1);
  return " ".repeat(columnsOf(printable(before))) + "^".repeat(columnsOf(printable(tag ?? key)));
}

function knowing(knows: boolean | null | undefined, paint: Paint): string {
  if (knows === undefined) return "";
  if (knows === null) return `  ${paint.alarm("did not say whether it knows the script")}`;
  return knows ? "  knows the script" : `  ${paint.alarm("does not know the script")}`;
}

function hopsOf({ hops, reply, error, total, spread }: Explanation, paint: Paint): string[] {
  const end = error === null ? shown(reply) : paint.alarm(printable(error));
  if (isWithoutHops({ hops, spread })) return [`${timeOf(total)}  ← ${end}`];
  if (hops.length === 0) return [`nothing was sent: ${end}`];
  return hops.flatMap((hop, index) => {
    const sent = `${timeOf(hop.at)}  ${paint.strong(`${hop.attempt} → ${hop.address}`)}  ${sentBy(hop)}`;
    const { answer } = hop;
    if (answer) {
      const text = answer.kind === "LOST" ? "the connection was lost" : printable(answer.text);
      return [sent, `${timeOf(answer.at)}  ${hop.attempt} ← ${paint.alarm(text)}`];
    }
    // The hops of a command for many nodes end together, so only the last one shows the end.
    if (index < hops.length - 1) return [sent];
    return [sent, `${timeOf(total)}  ${hop.attempt} ← ${end}`];
  });
}

/** True for SCRIPT LOAD: the client's own loads are not calls, so no hop is recorded. */
function isWithoutHops({ hops, spread }: Pick<Explanation, "hops" | "spread">): boolean {
  return hops.length === 0 && spread !== null;
}

/** The commands of one write, in their order. */
function sentBy({ asking, command, bytes, loadBytes }: Hop): string {
  const load = loadBytes > 0 ? `SCRIPT LOAD (${loadBytes} bytes), ` : "";
  return `${load}${asking ? "ASKING, " : ""}${command} (${bytes} bytes)`;
}

function endOf({ hops, total, slot, spread, owner, ownerAfter }: Explanation): string[] {
  if (isWithoutHops({ hops, spread })) return [];
  const attempts = hops.length === 1 ? "1 attempt" : `${hops.length} attempts`;
  const first = hops[0]?.address;
  const end = ["", `${attempts}, ${total.toFixed(2)} ms`];
  if (slot === null || ownerAfter === null || first === undefined || ownerAfter === first) return end;
  const before = ownerAfter === owner || owner === null ? "" : `, no longer at ${owner}`;
  return [...end, `Slot map: slot ${slot} is at ${ownerAfter}${before}.`];
}

function timeOf(milliseconds: number): string {
  return `${milliseconds.toFixed(2).padStart(TIME - 3)} ms`;
}

/** A reply on one line. Strings are in quotes, as in JSON. */
function shown(reply: unknown): string {
  if (typeof reply === "string") return quoted(reply);
  if (Array.isArray(reply)) return `[${reply.map(shown).join(", ")}]`;
  if (reply instanceof Uint8Array) return `${reply.length} bytes: ${printable(Buffer.from(reply).toString("latin1"))}`;
  return String(reply);
}
