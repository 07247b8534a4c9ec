import type { Estimate } from "./estimate.ts";

/** A table as rows of cells; the first row has the headings. */
export type Rows = readonly (readonly string[])[];

/** A section that a page has beside those that it makes itself: cold caches, detours, and the like. */
export interface PageSection {
  readonly title: string;
  readonly note: string;
  readonly charts?: readonly RowChart[];
  readonly rows: Rows;
}

/** Rows that share one axis: a name, marks or bars, and what they say in figures. */
export interface RowChart {
  /** Names the axis as well: `calls a second`. */
  readonly title: string;
  /** Bars start at zero, on a linear axis. Points may have a logarithmic one. */
  readonly kind: "bars" | "points";
  readonly scale: "linear" | "logarithmic";
  /** What the marks stand for, in the order of `Mark.series`. One name needs no legend. */
  readonly series: readonly string[];
  readonly groups: readonly RowGroup[];
  /** A line across all rows: 1 for ratios. */
  readonly line?: number;
  /** The axis reaches over these values too, so that charts beside each other can have the same. */
  readonly reach?: readonly number[];
  readonly unit?: string;
}

export interface RowGroup {
  readonly title?: string;
  readonly rows: readonly ChartRow[];
}

export interface ChartRow {
  readonly name: string;
  /** In figures, to the right of the marks. */
  readonly said: string;
  readonly marks: readonly Mark[];
}

/** A value, with its interval if there is one. */
export interface Mark {
  readonly series: number;
  readonly value: Pick<Estimate, "median"> & Partial<Pick<Estimate, "low" | "high">>;
  /** Single values behind it, drawn small. */
  readonly dots?: readonly number[];
}
