// @ts-check

/*
 * The style of the ladder, the wire and the decision table. It needs the variables --ink, --soft, --card, --rule, --code,
 * --mono, and a colour for each kind of answer: --good, --bad, --moved, --ask.
 */
export const DRAWING_STYLE = `
.ladder{display:block;max-width:100%;height:auto}
.ladder text{fill:var(--ink);font:12px/1 var(--mono)}
.ladder .name{font-weight:700}
.ladder .soft{fill:var(--soft)}
.ladder .back{fill:var(--card)}
.ladder .line{stroke:var(--hue,var(--rule));stroke-width:2}
.ladder .line.gone{stroke-dasharray:2 5}
.ladder .hop{stroke:var(--ink);stroke-width:1.8;fill:none}
.ladder .tip{fill:var(--ink)}
.ladder .dotted{stroke-dasharray:5 4}
.ladder .k-moved .hop{stroke:var(--moved)}.ladder .k-moved .tip,.ladder .k-moved text{fill:var(--moved)}
.ladder :is(.k-ask,.k-asking) .hop{stroke:var(--ask)}.ladder :is(.k-ask,.k-asking) :is(.tip,text){fill:var(--ask)}
.ladder .k-bad .hop{stroke:var(--bad)}.ladder .k-bad .tip,.ladder .k-bad text{fill:var(--bad)}
.ladder .k-good .hop{stroke:var(--good)}.ladder .k-good .tip,.ladder .k-good text{fill:var(--good)}
.ladder .k-rule text{fill:var(--soft)}.ladder .k-rule .tip{fill:var(--soft)}
.ladder .now .hop{stroke-width:3.2}
.ladder .later{opacity:.35}
.wire{background:var(--code);margin:.35rem 0 0;padding:.45rem .6rem;border-radius:6px;font:12px/1.5 var(--mono);white-space:pre-wrap;overflow-wrap:anywhere}
.wire .dir{color:var(--soft)}
.wire .err{color:var(--bad)}
.wire .hid{color:var(--soft)}
table.rules{border-collapse:collapse;width:100%;font-size:.88rem}
table.rules th,table.rules td{padding:.3rem .5rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top;font-weight:400;overflow-wrap:break-word}
table.rules thead th{color:var(--soft)}
table.rules tbody th{font-family:var(--mono);font-size:.82rem;white-space:nowrap}
table.rules tr.lit{background:var(--lit)}
table.rules tr.lit th{font-weight:700;box-shadow:inset 3px 0 var(--moved)}
@media(max-width:700px){table.rules thead{display:none}table.rules tr,table.rules th,table.rules td{display:block;border:0;padding:.1rem .6rem}table.rules tbody th{white-space:normal}table.rules tr{padding:.35rem 0;border-bottom:1px solid var(--rule)}table.rules td::before{content:attr(data-of) ": ";color:var(--soft)}}
`;
