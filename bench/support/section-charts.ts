import { ratioChartOf } from "../../src/cli/bench/page.ts";
import { titleWithoutLoad } from "../../src/cli/bench/page-curves.ts";
import type { RowChart } from "../../src/cli/bench/page-parts.ts";
import { intervalText, ratioText } from "../../src/cli/bench/page-words.ts";
import type { ColdCache } from "./cold-cache.ts";
import type { Price } from "./prices.ts";
import type { FullReport, Section } from "./report.ts";

/** The sections that a page has beside what all benchmarks have in common, with their charts. */
export function pageSectionsOf(report: FullReport, sections: readonly Section[]): Section[] {
  const { otherWays, coldCaches, prices } = report;
  const charts: Partial<Record<Section["id"], readonly RowChart[]>> = {
    others: [ratioChartOf(otherWays)],
    cold: [coldChart(coldCaches)],
    detours: [priceChart(prices)],
  };
  return sections.flatMap((section) => {
    const own = charts[section.id];
    return own === undefined ? [] : [{ ...section, charts: own }];
  });
}

function coldChart(coldCaches: readonly ColdCache[]): RowChart {
  const loads = [...new Set(coldCaches.map(({ inFlight }) => inFlight))];
  return {
    title: "Milliseconds a wave; the figures are EVALSHA's cold / warm",
    kind: "points",
    scale: "logarithmic",
    series: ["EVALSHA warm", "EVALSHA cold", "EVAL warm", "EVAL cold"],
    groups: loads.map((load) => ({
      title: `${load.toLocaleString("en")} in flight`,
      rows: coldCaches
        .filter(({ inFlight }) => inFlight === load)
        .map((each) => ({
          name: titleWithoutLoad(each),
          said: ratioText(each.evalsha.ratio),
          marks: [each.evalsha.warm, each.evalsha.cold, each.eval.warm, each.eval.cold].map((value, series) => ({
            series,
            value,
          })),
        })),
    })),
  };
}

function priceChart(prices: readonly Price[]): RowChart {
  const whole = (value: number) => value.toFixed(0);
  return {
    title: "Microseconds a call; the figures are what the detour adds",
    kind: "bars",
    scale: "linear",
    series: ["straight", "with the detour"],
    groups: [
      {
        rows: prices.map(({ detour, straight, withDetour, added }) => ({
          name: detour,
          said: intervalText(added, whole),
          marks: [straight, withDetour].map((value, series) => ({ series, value })),
        })),
      },
    ],
  };
}
