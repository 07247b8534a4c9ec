import { givenText, shown } from "./draw-explanation.ts";
import type { Explained, SlotWord } from "./explanation.ts";
import { printable } from "./printable.ts";
import type { Hop, Step, TableRow, Telling } from "./study/call-story.ts";
import { foldedSteps } from "./web/page/call-story.js";
import { drawDecision } from "./web/page/draw-decision.js";
import { drawLadder, kindOf, lanesOf, MOST_LANES } from "./web/page/draw-ladder.js";
import { drawWire } from "./web/page/draw-wire.js";
import { DRAWING_STYLE } from "./web/page/drawing-style.js";
import { escapeMarkup } from "./web/page/escape.js";
import { attemptsText, counted, milliseconds, nodeIn, outcomeText, plain, sentenceOf } from "./web/page/sentences.js";

/** What the page needs beside the explanation. */
export interface PageParts {
  readonly rows: readonly TableRow[];
  /** Where a row stands in the sources. */
  readonly placeOf: (row: string) => string;
  /** Whether the bytes show keys, arguments and replies. */
  readonly hasArguments: boolean;
}

/** The widths of the two ladders: for wide windows and for phones. */
const WIDE = 860;
const NARROW = 330;
/** A page has fewer bytes than this. */
const MOST_PAGE = 100_000;
/** Replicas of a slot, and nodes that are asked, beyond which the others are counted. */
const MOST_NODES = 12;

/** How much a page tells. What is left out is counted. */
interface Limits {
  readonly steps: number;
  /** Characters of a key, a reply, an error or a sentence. */
  readonly text: number;
  /** Bytes of a command or a reply on the wire. */
  readonly bytes: number;
  readonly replies: number;
  readonly keys: number;
}

/** From much to little: the first with which the page is small enough counts. */
const LIMITS: readonly Limits[] = [
  { steps: 60, text: 2000, bytes: 2048, replies: 100, keys: 20 },
  { steps: 60, text: 400, bytes: 512, replies: 100, keys: 20 },
  { steps: 60, text: 160, bytes: 128, replies: 60, keys: 20 },
  { steps: 30, text: 120, bytes: 64, replies: 30, keys: 10 },
  { steps: 8, text: 80, bytes: 32, replies: 10, keys: 3 },
];

const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#171a1f;--soft:#59626f;--rule:#d6dbe1;--code:#f1f3f6;--lit:#fff4cf;--good:#0a7350;--bad:#b3261e;--moved:#a34706;--ask:#6a1fd0;--mono:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
@media(prefers-color-scheme:dark){:root{--bg:#0f1215;--card:#171b20;--ink:#e7eaee;--soft:#a3adb9;--rule:#343b44;--code:#10141a;--lit:#3a3216;--good:#4cc38a;--bad:#ff8a82;--moved:#f29a55;--ask:#c4a1ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:980px;margin:0 auto;padding:.9rem 1rem 2rem}
h1{font-size:1.35rem;margin:.3rem 0 .2rem}h2{font-size:1.02rem;margin:0 0 .5rem}h2.given{margin:1rem 0 .2rem}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:.8rem .9rem;margin-top:.8rem}
p{margin:.3rem 0}.soft{color:var(--soft)}.mono,code{font-family:var(--mono);font-size:.9em}
.pill{display:inline-block;border:1px solid;border-radius:99px;padding:.05rem .6rem;font-size:.88rem;font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad)}.moved{color:var(--moved)}.ask{color:var(--ask)}
dl{display:grid;grid-template-columns:7.5rem minmax(0,1fr);gap:.2rem .8rem;margin:0}dt{color:var(--soft)}dd{margin:0}
u{text-decoration-thickness:2px;text-underline-offset:3px}
ol.steps{list-style:none;margin:0;padding:0}ol.steps>li{padding:.45rem 0;border-bottom:1px solid var(--rule)}ol.steps>li:last-child{border:0}
ol.steps .t{font-family:var(--mono);font-size:.82rem;color:var(--soft);margin-right:.6rem}
.node{font-weight:700}
details{margin-top:.6rem}summary{cursor:pointer;color:var(--soft)}
table.replies{border-collapse:collapse;width:100%;font-size:.9rem}table.replies th,table.replies td{text-align:left;padding:.25rem .5rem .25rem 0;border-bottom:1px solid var(--rule);font-weight:400;vertical-align:top}
.narrow{display:none}
@media(max-width:920px){.wide{display:none}.narrow{display:block}}
@media(max-width:520px){main{padding:.5rem .5rem 1.5rem}section{padding:.6rem .65rem}dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.35rem}}
`;

/** A call as one HTML page below 100 KB: without scripts, and without anything that a browser would have to fetch. */
export function explanationPage(explained: Explained, parts: PageParts): string {
  let html = "";
  for (const limits of LIMITS) {
    html = new Page(explained, parts, limits).html();
    if (Buffer.byteLength(html) < MOST_PAGE) break;
  }
  return html;
}

class Page {
  readonly #explained: Explained;
  readonly #parts: PageParts;
  readonly #telling: Telling;
  readonly #steps: readonly Step[];
  readonly #left: number;
  readonly #limits: Limits;

  constructor(explained: Explained, parts: PageParts, limits: Limits) {
    this.#limits = limits;
    this.#explained = explained;
    this.#parts = parts;
    this.#telling = { names: explained.names, rows: parts.rows, maxRedirections: explained.maxRedirections };
    const steps = foldedSteps(explained.story);
    this.#left = Math.max(0, steps.length - limits.steps);
    this.#steps = steps.slice(0, limits.steps);
  }

  html(): string {
    const title = `${this.#what()}, explained by slotwire`;
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeMarkup(title)}</title><style>${STYLE}${DRAWING_STYLE}</style></head>
<body><main>
${this.#header()}
${this.#subject()}
${this.#ladder()}
${this.#story()}
${this.#decisions()}
${this.#replies()}
</main></body></html>
`;
  }

  #what(): string {
    const { script, command, slot } = this.#explained;
    const name = script === null ? command.toUpperCase() : `${command} ${script.name}`;
    return this.#short(printable(name)) + (slot === null ? "" : `, slot ${slot}`);
  }

  /** The text, or its beginning and how much is left out. */
  #short(text: string): string {
    const left = text.length - this.#limits.text;
    return left > 0 ? `${text.slice(0, -left)} ... ${counted(left, "more character")}` : text;
  }

  #header(): string {
    const { end, total, error, reply, spread } = this.#explained;
    const counts = [
      attemptsText(end),
      ...(end.redirections > 0 ? [counted(end.redirections, "redirection")] : []),
      ...(end.retries > 0 ? [end.retries === 1 ? "1 retry" : `${end.retries} retries`] : []),
      milliseconds(total),
    ].join(", ");
    const isGood = end.error === null;
    const pill = isGood ? `reply, ${end.outcome}` : `${end.error?.code}, ${end.outcome}`;
    const result = isGood
      ? `<p>${spread === null ? "The reply" : "The replies together"}: <code>${escapeMarkup(this.#short(shown(reply)))}</code></p>`
      : `<p class="bad">${escapeMarkup(this.#short(printable(error ?? "")))}</p><p>That outcome means: ${escapeMarkup(outcomeText(end.outcome))}.</p>${end.error?.cause == null ? "" : `<p>Because of: ${escapeMarkup(this.#short(printable(end.error.cause)))}</p>`}`;
    return `<header><h1>${escapeMarkup(this.#what())}</h1><p><span class="pill ${isGood ? "good" : "bad"}">${escapeMarkup(pill)}</span> <span class="soft">${escapeMarkup(counts)}</span></p>${result}</header>`;
  }

  #subject(): string {
    const { script, keys, slot, spread, owner, ownerAfter, replicas, said, belief, known } = this.#explained;
    const entries: [term: string, html: string][] = [];
    if (script !== null) {
      entries.push([
        "script",
        `${escapeMarkup(this.#short(printable(script.name)))}, ${script.bytes} bytes, SHA-1 <code>${script.sha}</code>`,
      ]);
    }
    const { keys: mostKeys, text: mostText } = this.#limits;
    for (const { key, tag, crc16, slot } of keys.slice(0, mostKeys)) {
      entries.push([
        "key",
        `<code>${markedKey(key, tag, mostText)}</code><br>CRC16 of ${key.length > mostText ? "the part that is hashed" : "the underlined part"} is ${crc16}, modulo 16384: slot <b>${slot}</b>`,
      ]);
    }
    if (keys.length > mostKeys) entries.push(["", counted(keys.length - mostKeys, "more key")]);
    if (slot !== null) {
      const made = belief.from === null ? "" : ", because it was made to believe so (--from)";
      entries.push([
        "client believes",
        owner === null ? "the slot has no owner" : `the owner is ${this.#node(owner)}${made}`,
      ]);
      entries.push(["servers say", this.#word(said.before)]);
      if (replicas.length > 0) {
        const nodes = replicas.slice(0, MOST_NODES).map((each) => this.#node(each));
        if (replicas.length > nodes.length) nodes.push(`${replicas.length - nodes.length} more`);
        entries.push(["replicas", nodes.join(", ")]);
      }
      const isChanged = ownerAfter !== owner;
      const after = said.after;
      entries.push([
        "afterwards",
        `the client ${isChanged ? "now takes" : "still takes"} ${ownerAfter === null ? "nobody" : this.#node(ownerAfter)} for the owner; by the servers' word it is ${after?.owner == null ? "nobody that answers" : this.#node(after.owner)}`,
      ]);
    } else {
      const places = {
        slots: "several slots: the call is sent in parts",
        primaries: "all primaries",
        all: "all nodes",
      };
      const where =
        spread === null
          ? keys.length === 0
            ? "any primary"
            : "keys of several slots: no node may serve it"
          : places[spread];
      entries.push(["goes to", where]);
    }
    const knowing = Object.entries(known)
      .slice(0, MOST_NODES)
      .map(([address, knows]) => {
        const text = knows === null ? "did not say" : knows ? "yes" : "no";
        return `${this.#node(address)}: <b class="${knows ? "good" : "bad"}">${text}</b>`;
      });
    if (knowing.length > 0) entries.push(["knew the script", knowing.join("<br>")]);
    return `<section aria-label="The call"><h2>The call</h2><dl>${entries.map(([term, html]) => `<dt>${term}</dt><dd>${html}</dd>`).join("")}</dl></section>`;
  }

  /** Who owns the slot by the servers' own word, and what they do not agree upon. */
  #word(word: SlotWord | null): string {
    if (word === null) return "they could not be asked";
    const { owner, claims, open, others, down, silent } = word;
    const bad = (html: string) => `<span class="bad">${html}</span>`;
    const said = [
      owner === null
        ? bad("no node that answers says that the slot is its own")
        : `${this.#node(owner)} says that it is its own`,
    ];
    for (const claim of claims)
      if (claim !== owner) said.push(bad(`${this.#node(claim)} says so too, at a lower epoch`));
    for (const { address, kind, peer } of open) {
      said.push(
        `<span class="ask">${this.#node(address)} says that the slot is ${kind === "migrating" ? "on its way to" : "coming from"} ${escapeMarkup(peer)}</span>`,
      );
    }
    for (const [address, says] of Object.entries(others).slice(0, 6)) {
      said.push(bad(`${this.#node(address)} still names ${says === null ? "nobody" : this.#node(says)}`));
    }
    if (down.length > 0)
      said.push(
        bad(
          `the cluster is down for ${down
            .slice(0, 6)
            .map((each) => this.#node(each))
            .join(", ")}`,
        ),
      );
    for (const [address, why] of Object.entries(silent).slice(0, 6))
      said.push(bad(`${this.#node(address)} is silent: ${escapeMarkup(printable(why))}`));
    return said.join("<br>");
  }

  #node(address: string): string {
    const name = this.#explained.names[address];
    const text = `<span class="mono">${escapeMarkup(printable(address))}</span>`;
    return name === undefined ? text : `<span class="node">${escapeMarkup(name)}</span> ${text}`;
  }

  #ladder(): string {
    const lanes = lanesOf(this.#steps);
    const nodes = new Set(this.#explained.hops.map(({ address }) => address)).size;
    const more =
      nodes > lanes.length ? `<p class="soft">Only the first ${MOST_LANES} of ${nodes} nodes are drawn.</p>` : "";
    if (lanes.length === 0) return "";
    const draw = (width: number) => drawLadder(this.#steps, this.#telling, { width, mostText: this.#limits.text });
    return `<section aria-label="The hops"><h2>Between the client and the nodes</h2><div class="wide">${draw(WIDE)}</div><div class="narrow">${draw(NARROW)}</div>${more}</section>`;
  }

  #story(): string {
    const items = this.#steps.map((step) => {
      const tone =
        step.type === "answered"
          ? kindOf(step.answer.kind)
          : step.type === "folded" || step.type === "waited"
            ? "bad"
            : "";
      return `<li><span class="t">${milliseconds(step.at)}</span><span class="${tone}">${this.#sentence(step)}</span>${this.#wire(step)}</li>`;
    });
    const { hasArguments } = this.#parts;
    const hidden = hasArguments
      ? ""
      : " Keys, arguments and what replies say are hidden; <code>--bytes</code> shows them.";
    const left =
      this.#left > 0
        ? `<p class="soft">${counted(this.#left, "more step")} left out, so that the page stays small; <code>--json</code> has all of them.</p>`
        : "";
    return `<section aria-label="Step by step"><h2>Step by step</h2><p class="soft">Times since the call began.${hidden}</p><ol class="steps">${items.join("")}</ol>${left}</section>`;
  }

  #sentence(step: Step): string {
    const html = escapeMarkup(this.#short(printable(sentenceOf(step, this.#telling))));
    return html.replace(/\[([A-Z]+\d*)\]/g, '<span class="node">$1</span>');
  }

  #wire(step: Step): string {
    if (step.type !== "sent" && step.type !== "answered") return "";
    const { hop } = step;
    const node = plain(nodeIn(this.#telling, hop.address));
    const { bytes } = this.#limits;
    return step.type === "sent"
      ? drawWire(hop.sent, "sent", node, bytes)
      : drawWire(hop.received, "received", node, bytes);
  }

  #decisions(): string {
    const { hops } = this.#explained;
    const { rows, placeOf } = this.#parts;
    const lit = new Set(hops.flatMap(({ decisions }) => decisions.map(({ row }) => row)));
    for (const step of this.#steps) if (step.type === "decided") lit.add(step.decision.row);
    const whole = drawDecision(rows, lit, "All rows of the decision table");
    if (lit.size === 0) {
      return `<section aria-label="The decision"><h2>The decision</h2><p>No node refused the call, so there was nothing to decide.</p><details><summary>The whole table: ${rows.length} rows</summary>${whole}</details></section>`;
    }
    const own = drawDecision(
      rows.filter(({ row }) => lit.has(row)),
      lit,
      "The rows that decided",
    );
    const given = this.#steps.flatMap((step) =>
      step.type === "decided" ? [this.#given(step.decision, step.hop)] : [],
    );
    const places = [...lit].map((row) => `<code>${escapeMarkup(placeOf(row))}</code>`).join(", ");
    return `<section aria-label="The decision"><h2>The decision</h2><p class="soft">One table decides what follows a refusal or a loss. The rows that decided here: ${places}</p>${own}<h2 class="given">What they were given</h2><ol class="steps">${given.join("")}</ol><details><summary>The whole table: ${rows.length} rows, those that decided are lit</summary>${whole}</details></section>`;
  }

  #given(decision: Hop["decisions"][number], hop: Hop | null): string {
    const attempt = hop === null ? "" : `attempt ${hop.attempt}: `;
    return `<li><span class="t">${milliseconds(decision.at)}</span><code>${escapeMarkup(decision.row)}</code> was given ${escapeMarkup(this.#short(attempt + printable(givenText(decision, hop, this.#explained))))}</li>`;
  }

  #replies(): string {
    const { replies } = this.#explained;
    if (replies.length === 0) return "";
    const rows = replies.slice(0, this.#limits.replies).map(({ address, slot, reply, error }) => {
      const text =
        error === null
          ? `<code>${escapeMarkup(this.#short(shown(reply)))}</code>`
          : `<span class="bad">${escapeMarkup(this.#short(printable(error)))}</span>`;
      return `<tr><th scope="row">${this.#node(address)}</th><td>${slot < 0 ? "" : `slot ${slot}`}</td><td>${text}</td></tr>`;
    });
    const more =
      replies.length > rows.length
        ? `<p class="soft">${replies.length - rows.length} more replies; --json has all of them.</p>`
        : "";
    return `<section aria-label="Each node's reply"><h2>Each node's reply</h2><table class="replies"><tbody>${rows.join("")}</tbody></table>${more}</section>`;
  }
}

/** The key, or its first `most` characters, with the part that is hashed underlined. */
function markedKey(key: string, tag: string | null, most: number): string {
  const from = tag === null ? 0 : key.indexOf("{") + 1;
  const to = from + (tag ?? key).length;
  const html = (start: number, end: number) => escapeMarkup(printable(key.slice(start, Math.min(end, most))));
  const left = key.length - most;
  const more = left > 0 ? ` <span class="soft">... ${counted(left, "more character")}</span>` : "";
  return `${html(0, from)}<u>${html(from, to)}</u>${html(to, key.length)}${more}`;
}
