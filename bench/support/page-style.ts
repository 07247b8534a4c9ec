/** The style sheet of the report's page, for light and dark mode, for phones and large screens. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5a6270; --paper: #fff; --rule: #d8dce2; --a: #0b6bcb; --b: #c2570c; --c: #5b6472; --d: #8a3ffc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #9aa3ad; --paper: #14171b; --rule: #343a42; --a: #5aa9f8; --b: #f0954a; --c: #9aa3ad; --d: #be95ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .25rem; } h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; } .soft { color: var(--soft); } .lead { font-size: 1.1rem; }
.charts { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); margin: .75rem 0; }
figure { margin: 0; } figcaption { font-weight: 600; font-size: .95rem; }
svg { width: 100%; max-width: 26rem; height: auto; display: block; }
svg text { fill: var(--ink); font: 10.5px system-ui, sans-serif; } svg text.soft { fill: var(--soft); }
.a { fill: var(--a); } .b { fill: var(--b); } .c { fill: var(--c); } .d { fill: var(--d); } .pale { opacity: .45; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .a.line { stroke: var(--a); } .b.line { stroke: var(--b); stroke-dasharray: 5 2; }
.grid { fill: none; stroke: var(--rule); stroke-width: 1; }
.key { display: inline-flex; align-items: center; margin-right: 1rem; } .key svg { width: .9em; height: .9em; margin-right: .35em; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .85rem; white-space: nowrap; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--rule); text-align: right; font-variant-numeric: tabular-nums; font-weight: 400; }
thead th { font-weight: 600; } th[scope=row], th:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); padding-left: 0; }
.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
pre { overflow-x: auto; font-size: .75rem; white-space: pre-wrap; overflow-wrap: anywhere; } summary { cursor: pointer; }
`;
