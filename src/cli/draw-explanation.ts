import { columnsOf, type Hanging, hanging, wrapped, wrappedParts } from "./draw-text.ts";
import type { Explained, Explanation, SlotWord } from "./explanation.ts";
import { printable, quoted } from "./printable.ts";
import type { Decision, Frame, Hop, Step, TableRow, Telling } from "./study/call-story.ts";
import type { Paint } from "./terminal.ts";
import { foldedSteps } from "./web/page/call-story.js";
import { visible } from "./web/page/draw-wire.js";
import {
  attemptsText,
  counted,
  decidedText,
  lessonText,
  meaningOf,
  nodeIn,
  plain,
  sentenceOf,
} from "./web/page/sentences.js";

const LABEL = 10;
const TIME = 9;
/** Of a command or a reply so many bytes are shown. */
const MOST_BYTES = 4096;

/** How much of a call is told. */
export interface Detail {
  /** What each decision was given, and where its rule is. */
  readonly why: boolean;
  readonly bytes: boolean;
  readonly rows: readonly TableRow[];
  /** Where the rule of a row stands in the sources. */
  readonly placeOf: (row: string) => string;
}

/**
 * A call as lines of at most `width` columns: its slot, the slot's owner, the nodes that know the script, every step with
 * its reason, and the end. Nothing is cut: long texts are wrapped.
 */
export function drawExplanation(explanation: Explained, width: number, paint: Paint, detail: Detail): string[] {
  return new Drawing(explanation, width, paint, detail).lines();
}

/** The texts for a call that does not go to the owner of one slot. */
const PLACES = {
  slots: ["slots", "several: the call is sent in parts, each to the owner of its slot"],
  primaries: ["no slot", "the call goes to all primaries"],
  all: ["no slot", "the call goes to all nodes"],
  one: ["no key", "any primary can serve the call"],
  apart: ["slots", "the keys are in several slots, so no node may serve the call"],
} as const satisfies Record<string, readonly [label: string, text: string]>;

class Drawing {
  readonly #explanation: Explained;
  readonly #width: number;
  readonly #paint: Paint;
  readonly #detail: Detail;
  readonly #telling: Telling;
  /** The columns of a time, so that all times of the call stand below each other. */
  readonly #time: number;

  constructor(explanation: Explained, width: number, paint: Paint, detail: Detail) {
    this.#explanation = explanation;
    this.#width = width;
    this.#paint = paint;
    this.#detail = detail;
    const { names, maxRedirections, story, total } = explanation;
    this.#time = timeText(Math.max(total, ...story.steps.map(({ at }) => at))).padStart(TIME).length;
    this.#telling = { names, rows: detail.rows, maxRedirections };
  }

  lines(): string[] {
    return [...this.#subject(), "", ...this.#steps(), "", ...this.#end()].map((line) => line.trimEnd());
  }

  #wrap(label: string, text: string): string[] {
    return wrapped(text, this.#width, hanging(label.padEnd(LABEL)));
  }

  #subject(): string[] {
    const { script, command, keys, slot, spread, owner, replicas, known, belief, said } = this.#explanation;
    const paint = this.#paint;
    const lines: string[] = [];
    const add = (label: string, text: string) => void lines.push(...this.#wrap(label, text));
    if (script) add("script", `${printable(script.name)}, ${script.bytes} bytes, SHA-1 ${paint.faint(script.sha)}`);
    else add("command", printable(command.toUpperCase()));
    for (const { key, slot, tag, crc16 } of keys) {
      lines.push(...this.#key(key, tag, `CRC16 ${crc16}, modulo 16384: slot ${paint.strong(String(slot))}`));
    }
    if (slot === null) {
      const [label, text] = PLACES[spread ?? (keys.length === 0 ? "one" : "apart")];
      add(label, text);
      for (const address of Object.keys(known)) add("node", this.#nodeLine(address));
      return lines;
    }
    const { before } = said;
    if (owner === null) add("owner", paint.alarm(`the client knows no owner of slot ${slot}`));
    else if (belief.from !== null) {
      add("begins at", this.#nodeLine(belief.from));
      add("", "which the client was made to take for the owner");
    } else add("owner", this.#nodeLine(owner, "as the client believes"));
    if (before !== null) add("really", this.#reality(before, owner));
    for (const replica of replicas) if (replica !== belief.from) add("replica", this.#nodeLine(replica));
    return lines;
  }

  /** A key, with a caret under each character that is hashed, and its slot behind the carets if there is room. */
  #key(key: string, tag: string | null, slot: string): string[] {
    const before = tag === null ? "" : key.slice(0, key.indexOf("{") + 1);
    const from = columnsOf(printable(before));
    const marks = " ".repeat(from) + "^".repeat(columnsOf(printable(tag ?? key)));
    const characters = [...printable(key)];
    const room = Math.max(1, this.#width - LABEL);
    const lines: string[] = [];
    for (let at = 0; at === 0 || at < characters.length; at += room) {
      lines.push((at === 0 ? "key" : "").padEnd(LABEL) + characters.slice(at, at + room).join(""));
      const mark = marks.slice(at, at + room);
      if (mark.trim() !== "") lines.push(" ".repeat(LABEL) + mark);
    }
    const last = lines.at(-1) ?? "";
    const isMarked = last.trim() !== "" && /^[ ^]*$/.test(last);
    if (isMarked && columnsOf(`${last}  ${slot}`) <= this.#width) return [...lines.slice(0, -1), `${last}  ${slot}`];
    return [...lines, ...this.#wrap("", slot)];
  }

  /** Who owns the slot by the servers' own word, and what they do not agree upon. */
  #reality({ owner, claims, open, others, down, silent }: SlotWord, believed: string | null): string {
    const paint = this.#paint;
    const said: string[] = [];
    if (owner === null) said.push(paint.alarm("no node that answers says that the slot is its own"));
    else if (owner === believed) said.push(`the same: ${this.#name(owner)} says that the slot is its own`);
    else said.push(`${paint.alarm(this.#nodeLine(owner))}, which says that the slot is its own`);
    for (const claim of claims) {
      if (claim !== owner) said.push(paint.alarm(`${this.#name(claim)} says so too, at a lower epoch`));
    }
    for (const { address, kind, peer } of open) {
      const way = kind === "migrating" ? "on its way to" : "coming from";
      said.push(paint.alarm(`${this.#name(address)} says that it is ${way} ${peer}`));
    }
    const byOwner = new Map<string | null, string[]>();
    for (const [address, says] of Object.entries(others)) {
      byOwner.set(says, [...(byOwner.get(says) ?? []), this.#name(address)]);
    }
    for (const [says, nodes] of byOwner) {
      const verb = nodes.length === 1 ? "names" : "name";
      said.push(paint.alarm(`${nodes.join(", ")} still ${verb} ${says === null ? "nobody" : this.#name(says)}`));
    }
    if (down.length > 0)
      said.push(paint.alarm(`the cluster is down for ${down.map((node) => this.#name(node)).join(", ")}`));
    for (const [address, why] of Object.entries(silent)) {
      said.push(paint.alarm(`${this.#name(address)} is silent (${printable(why)})`));
    }
    return said.join("; ");
  }

  /** A node's name, or its address. */
  #name(address: string): string {
    return printable(plain(nodeIn(this.#telling, address)));
  }

  #node(address: string): string {
    const name = this.#explanation.names[address];
    return printable(name === undefined ? address : `${name} ${address}`);
  }

  #nodeLine(address: string, note?: string): string {
    const knows = this.#explanation.known[address];
    const node = note === undefined ? this.#node(address) : `${this.#node(address)}, ${note}`;
    if (knows === undefined) return node;
    if (knows === null) return `${node}, ${this.#paint.alarm("did not say whether it knows the script")}`;
    return knows ? `${node}, knows the script` : `${node}, ${this.#paint.alarm("does not know the script")}`;
  }

  #steps(): string[] {
    const { story, spread, total } = this.#explanation;
    const lines = foldedSteps(story).flatMap((step) => this.#step(step));
    if (story.hops.length > 0) return lines;
    const end = this.#result();
    // The client's own loads are not calls: SCRIPT LOAD is sent, and no attempt is recorded.
    if (spread !== null) return [...lines, ...wrapped(end, this.#width, this.#hangingAt(total, "← "))];
    return [...lines, "nothing was sent"];
  }

  #step(step: Step): string[] {
    const paint = this.#paint;
    switch (step.type) {
      case "sent": {
        const { hop } = step;
        const text = `${paint.strong(`→ ${this.#node(hop.address)}`)}  ${sentBy(hop)}`;
        return [...this.#timed(step.at, hop, text), ...this.#frames("> ", hop.sent)];
      }
      case "waited": {
        const text = `waited ${step.ms.toFixed(2)} ms for a connection to ${this.#node(step.hop.address)}, never written`;
        return this.#timed(step.at, step.hop, text);
      }
      case "answered": {
        const { hop, answer } = step;
        const text =
          answer.kind === "LOST"
            ? paint.alarm("the connection was lost")
            : hop.decisions.length === 0
              ? this.#answer(hop)
              : paint.alarm(printable(answer.text ?? answer.kind));
        const from = this.#explanation.calls.length > 1 ? `${this.#name(hop.address)}: ` : "";
        return [...this.#timed(answer.at, hop, `← ${from}${text}`), ...this.#frames("< ", hop.received)];
      }
      case "decided":
        return this.#decision(step.decision, step.hop);
      case "folded":
        return this.#untimed(`... ${plain(sentenceOf(step, this.#telling))}`);
      case "beside":
        return wrapped(
          `· ${printable(plain(sentenceOf(step, this.#telling)))}`,
          this.#width,
          this.#hangingAt(step.at, "  "),
        );
      case "ended":
        return this.#ended(step);
    }
  }

  /** Only an end without an answer is told among the steps. */
  #ended({ at, end }: Extract<Step, { type: "ended" }>): string[] {
    const { hops, spread } = this.#explanation;
    const last = hops.findLast(({ call }) => call === end.call);
    if (end.code === null || last === undefined) return [];
    const isAnswered = last.answer !== null || last.decisions.length > 0;
    if (isAnswered && spread === null) return [];
    const text = isAnswered || last.writtenAt === null ? "" : "no answer: ";
    return this.#timed(at, last, this.#paint.alarm(`× ${text}${end.code}, ${end.outcome}`));
  }

  #decision(decision: Decision, hop: Hop | null): string[] {
    const { row, learned } = decision;
    const telling = this.#telling;
    const lesson = learned === "nothing" ? "" : `; learned: ${lessonText(learned)}`;
    const text = `${this.#paint.faint(row)}: ${meaningOf(telling.rows, row)}; ${plain(decidedText(decision, hop, telling))}${lesson}`;
    const lines = this.#untimed(text);
    if (!this.#detail.why) return lines;
    return [
      ...lines,
      ...this.#untimed(`given: ${printable(givenText(decision, hop, this.#explanation))}`),
      ...this.#untimed(`rule: ${this.#detail.placeOf(row)}`),
    ];
  }

  #frames(mark: string, frames: readonly Frame[]): string[] {
    if (!this.#detail.bytes) return [];
    return frames.flatMap(({ text }) => {
      const left = text.length - MOST_BYTES;
      const parts = text
        .slice(0, MOST_BYTES)
        .split(/(?<=\r\n)/)
        .map(visible);
      if (left > 0) parts.push(`... ${counted(left, "more byte")}`);
      return wrappedParts(parts, this.#width, hanging(this.#indent(mark)));
    });
  }

  #timed(at: number, hop: Hop, text: string): string[] {
    return wrapped(text, this.#width, this.#hangingAt(at, `${hop.attempt} `));
  }

  #hangingAt(at: number, mark: string): Hanging {
    return hanging(`${timeText(at).padStart(this.#time)}  ${mark}`);
  }

  #untimed(text: string): string[] {
    return wrapped(text, this.#width, hanging(this.#indent("")));
  }

  #indent(mark: string): string {
    return `${" ".repeat(this.#time + 6)}${mark}`;
  }

  /** What a node answered: for a call to one node, what the caller gets. */
  #answer({ call, address }: Hop): string {
    const { replies, spread } = this.#explanation;
    if (spread === null) return this.#result();
    const own = replies.find((each) => each.call === call && each.address === address);
    if (own === undefined) return "answered";
    return own.error === null ? shown(own.reply) : this.#paint.alarm(printable(own.error));
  }

  #result(): string {
    const { reply, error } = this.#explanation;
    return error === null ? shown(reply) : this.#paint.alarm(printable(error));
  }

  /** The end: code and outcome, how often it was tried, and where the slot is now. */
  #end(): string[] {
    const { end, total, spread, reply, hops } = this.#explanation;
    const { attempts, redirections, retries, error, outcome } = end;
    const loads = this.#explanation.meanwhile.filter((event) => event.type === "load" && event.why === "asked").length;
    const counts = [
      attempts === 0 && loads > 0 ? counted(loads, "load") : attemptsText(end),
      ...(redirections > 0 ? [counted(redirections, "redirection")] : []),
      ...(retries > 0 ? [retries === 1 ? "1 retry" : `${retries} retries`] : []),
      `${total.toFixed(2)} ms`,
    ].join(", ");
    const lines = wrapped(
      error === null ? `Reply, ${outcome}: ${counts}` : `${this.#paint.alarm(`${error.code}, ${outcome}`)}: ${counts}`,
      this.#width,
    );
    if (error !== null) {
      lines.push(...wrapped(printable(error.message), this.#width, hanging("  ")));
      if (error.cause !== null)
        lines.push(...wrapped(`because of: ${printable(error.cause)}`, this.#width, hanging("  ")));
    } else if (spread !== null && hops.length > 1) {
      lines.push(...wrapped(`together: ${shown(reply)}`, this.#width, hanging("  ")));
    }
    return [...lines, ...this.#slotMap()];
  }

  #slotMap(): string[] {
    const { slot, owner, ownerAfter, said, hops } = this.#explanation;
    if (slot === null) return [];
    const lines: string[] = [];
    if (ownerAfter !== null && (ownerAfter !== owner || (hops[0] !== undefined && hops[0].address !== ownerAfter))) {
      const before = ownerAfter === owner || owner === null ? "" : `, no longer at ${this.#node(owner)}`;
      lines.push(...wrapped(`Slot map: slot ${slot} is at ${this.#node(ownerAfter)}${before}.`, this.#width));
    }
    const really = said.after?.owner ?? null;
    if (really !== ownerAfter) {
      const truth = really === null ? "no node that answers owns it" : `it is ${this.#node(really)}'s`;
      const belief = ownerAfter === null ? "knows no owner" : `names ${this.#node(ownerAfter)}`;
      const why = said.after?.silent[ownerAfter ?? ""];
      const silent = why === undefined ? "" : `; ${this.#name(ownerAfter ?? "")} is silent (${printable(why)})`;
      lines.push(
        ...wrapped(`The client's slot map ${belief}; by the servers' own word ${truth}${silent}.`, this.#width),
      );
    }
    return lines;
  }
}

/** What the decision was given. */
export function givenText(
  { failure, remedy, spends, redirections, retries }: Decision,
  hop: Hop | null,
  explanation: Explanation,
): string {
  const { slot, script, maxRedirections } = explanation;
  const before = (count: number, kind: string) => (spends === kind ? count - 1 : count);
  return [
    failure,
    ...(slot === null ? [] : [`slot ${slot}`]),
    script === null ? "no script" : `script ${script.name}`,
    ...(remedy === null ? [] : [`remedy ${remedy}`]),
    ...(hop?.asking ? ["the attempt had an ASKING"] : []),
    `redirections ${before(redirections, "redirection")} of ${maxRedirections}`,
    `retries ${before(retries, "retry")}`,
  ].join(", ");
}

/** The commands of one write, in their order. */
function sentBy({ asking, command, bytes, loadBytes }: Hop): string {
  const load =
    loadBytes > 0 ? `${command.startsWith("FCALL") ? "FUNCTION" : "SCRIPT"} LOAD (${loadBytes} bytes), ` : "";
  return `${load}${asking ? "ASKING, " : ""}${printable(command)} (${bytes} bytes)`;
}

function timeText(milliseconds: number): string {
  return `${milliseconds.toFixed(2)} ms`;
}

/** A reply on one line. Strings are in quotes, as in JSON. */
export function shown(reply: unknown): string {
  if (typeof reply === "string") return quoted(reply);
  if (Array.isArray(reply)) return `[${reply.map(shown).join(", ")}]`;
  if (reply instanceof Uint8Array) return `${reply.length} bytes: ${printable(Buffer.from(reply).toString("latin1"))}`;
  return String(reply);
}
