import type { PageSection } from "./page-parts.ts";
import type { BenchReport } from "./report.ts";

/** What a page tells beside the report. */
export interface PageMore {
  /** @default "EVALSHA against EVAL", from the names of the ways */
  readonly title?: string;
  readonly sections?: readonly PageSection[];
  /** In place of the report in "Raw data", when there is more than that. */
  readonly raw?: unknown;
}

/** A report as one HTML page: without scripts, and without anything that a browser would have to fetch. */
export function pageOf(report: BenchReport, more: PageMore = {}): string {
  return `<!doctype html><title>${more.title ?? ""}${report.comparisons.length}</title>`;
}
