import { jsonOf } from "../printable.ts";
import { escapeMarkup } from "../web/page/escape.js";
import type { Rows } from "./page-parts.ts";
import { noiseLine } from "./quiet.ts";
import type { Quiet } from "./report.ts";

const FACTS: Readonly<Record<string, string>> = {
  cpu: "CPU",
  memoryGiB: "memory, GiB",
  system: "system",
  node: "Node.js",
};

/** The style sheet of the pages, for light and dark mode, for phones and large screens. */
const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#171a1f;--soft:#59626f;--rule:#dfe3e8;--one:#171a1f;--warn:#fff1d6;--good:#0a7350;--bad:#b3261e;--edge:#b45309;
--c0:#0b6bcb;--c1:#c2570c;--c2:#0a7350;--c3:#8a3ffc;--c4:#5b6472;--c5:#b0246f;--c6:#7a6a00;--c7:#007a99}
@media(prefers-color-scheme:dark){:root{--bg:#0f1215;--card:#171b20;--ink:#e7eaee;--soft:#a3adb9;--rule:#2e353d;--one:#e7eaee;--warn:#3a2c10;--good:#4cc38a;--bad:#ff8a82;--edge:#f0a94a;
--c0:#5aa9f8;--c1:#f0954a;--c2:#4cc38a;--c3:#be95ff;--c4:#a3adb9;--c5:#f58ac0;--c6:#d6c14a;--c7:#4fc3dd}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:84rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;line-height:1.25;margin:.3rem 0 .5rem}h2{font-size:1.15rem;margin:0 0 .3rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:1rem;margin-top:1rem}
p,ul{max-width:52rem;margin:.4rem 0}ul{padding-left:1.2rem}.soft{color:var(--soft)}
.noisy{background:var(--warn);border-left:5px solid var(--edge);padding:.5rem .8rem;font-weight:600;max-width:none}
.answer{font-size:1.2rem;line-height:1.4}.answer ul{list-style:none;padding:0;font-weight:600}.answer li{margin:.25rem 0}
.claims{font-size:.95rem}.good{color:var(--good)}.bad{color:var(--bad)}
figure{margin:.6rem 0 0;min-width:0}figcaption{font-weight:600}
.charts{display:grid;gap:1.2rem;grid-template-columns:repeat(auto-fill,minmax(min(17rem,100%),1fr))}
.pairs{display:grid;gap:0 2rem;grid-template-columns:repeat(auto-fill,minmax(min(32rem,100%),1fr))}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg.curve{width:100%;max-width:28rem;display:block}.curve text{font-size:13px}
.grid{stroke:var(--rule);stroke-width:1;fill:none}.one{stroke:var(--one);stroke-width:1.5}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.knee{fill:none;stroke-width:1.5;stroke-dasharray:3 3}.whisker{stroke-width:2}.whisker.ink{stroke:var(--ink);stroke-width:1.3}.dot{opacity:.4}
${Array.from({ length: 8 }, (_, n) => `.f${n}{fill:var(--c${n})}.s${n}{stroke:var(--c${n})}`).join("")}
.legend{margin:.2rem 0}.key{display:inline-flex;align-items:center;margin-right:1rem}.key svg{flex:none;margin-right:.4em;height:1rem}.key svg.shape{width:1rem}.key svg.line{width:1.75rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{font-weight:400}
.rows{container-type:inline-size}.rows table{width:100%}.rows th{text-align:left}.rows tbody th{padding:0 .8rem 0 0;max-width:17rem;font-size:.95rem;line-height:1.25}
.rows .group th{font-weight:600;padding-top:.7rem;max-width:none}.rows .strip{width:60%;padding:0}.pairs .rows .strip{width:99%}.pairs .rows tbody th{min-width:6.5rem}.rows .strip svg{display:block;width:100%}.rows .said{padding:0 0 0 .8rem;text-align:right;font-size:.95rem;line-height:1.25;white-space:nowrap}.rows tr.many+tr.many{border-top:1px solid var(--rule)}
@container(max-width:30rem){.rows table,.rows table tbody{display:block}.rows tr{display:grid;grid-template-columns:minmax(0,1fr) auto}.rows tbody th{max-width:none;padding-top:.35rem}.rows .said{padding-top:.35rem}.rows .strip{grid-row:2;grid-column:1/-1;width:100%}.rows .group{display:block}.rows .axis td:not(.strip){display:none}}
.wide{overflow-x:auto;margin:.6rem 0}.wide table{font-size:.85rem;overflow-wrap:normal;white-space:nowrap;min-width:100%}
.wide th,.wide td{padding:.3rem 0 .3rem .8rem;border-bottom:1px solid var(--rule);text-align:right}
.wide thead th{font-weight:600;vertical-align:bottom;white-space:normal}.wide td,.wide tbody th{vertical-align:top}small{color:var(--soft);font-size:.8rem}.wide th:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:11rem;max-width:22rem;position:sticky;left:0;background:var(--card);padding-left:0}
.facts th{width:8rem;vertical-align:top;color:var(--soft);text-align:left;padding:.15rem .8rem .15rem 0}.facts td{padding:.15rem 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.75rem}summary{cursor:pointer}:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
@media(max-width:40rem){main{padding:.6rem}section{padding:.7rem}.wide th:first-child{min-width:7.5rem;max-width:9.5rem}.answer{font-size:1.08rem}}
`;

/** A page of its own: no scripts, and nothing that a browser would have to fetch. */
export function framed(title: string, sections: readonly string[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeMarkup(title)}</title><style>${STYLE}</style></head>
<body><main>
${sections.filter((section) => section !== "").join("\n")}
</main></body></html>
`;
}

export function section(title: string, ...content: readonly string[]): string {
  return `<section><h2>${escapeMarkup(title)}</h2>\n${content.filter((part) => part !== "").join("\n")}\n</section>`;
}

export function paragraph(text: string, style = "soft"): string {
  return text === "" ? "" : `<p class="${style}">${escapeMarkup(text)}</p>`;
}

/** What a reader has to know before any figure. */
export function noiseNote(quiet: Quiet): string {
  return paragraph(noiseLine(quiet) ?? "", "noisy");
}

/** A table. It can be reached by keyboard, because it may be wider than the page: the first column stays in sight. */
export function tableOf([head = [], ...body]: Rows, title: string): string {
  if (body.length === 0) return "";
  const headings = head.map((cell) => `<th scope="col">${escapeMarkup(cell)}</th>`).join("");
  const rows = body.map(([name = "", ...cells]) => {
    const others = cells.map((cell) => `<td>${cellOf(cell)}</td>`);
    return `<tr><th scope="row">${escapeMarkup(name)}</th>${others.join("")}</tr>`;
  });
  return `<div class="wide" tabindex="0" role="region" aria-label="Table: ${escapeMarkup(title)}"><table>
<thead><tr>${headings}</tr></thead><tbody>${rows.join("\n")}</tbody></table></div>`;
}

/** An interval stands below its figure, so that more columns have room. */
function cellOf(cell: string): string {
  const [figure = "", ...rest] = cell.split(/ (?=\()|(?<=\)|^[\d.,]+), (?=\D)/);
  return escapeMarkup(figure) + rest.map((part) => `<br><small>${escapeMarkup(part)}</small>`).join("");
}

export function factsTable(facts: readonly (readonly [name: string, text: string])[]): string {
  const rows = facts.map(([name, text]) => {
    return `<tr><th scope="row">${escapeMarkup(name)}</th><td>${escapeMarkup(text)}</td></tr>`;
  });
  return `<table class="facts"><tbody>${rows.join("")}</tbody></table>`;
}

/** How it was measured, on what, and all figures for programs. */
export function methodSection(method: string, environment: object, raw: unknown): string {
  const facts = Object.entries(environment).map(([name, value]) => [FACTS[name] ?? name, String(value)] as const);
  const json = jsonOf(JSON.parse(JSON.stringify(raw ?? null), shortened));
  return section(
    "Method",
    paragraph(method, ""),
    factsTable(facts),
    `<details><summary>Raw data (JSON)</summary><pre>${escapeMarkup(json)}</pre></details>`,
  );
}

/** Five digits are more than any of these figures has. */
function shortened(_: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(5)) : value;
}
