import { InvalidArgumentError } from "../../errors.ts";
import { type Options, shareOf } from "../arguments.ts";
import { type Judgement, judge } from "./against.ts";
import type { BenchReport, Comparison, Environment } from "./report.ts";
import { storedReport } from "./stored-report.ts";

/** The options of a benchmark that is compared with an earlier run. */
export const AGAINST = {
  against: { type: "string", value: "FILE", says: "an earlier run's JSON: tells what has changed since" },
  limit: {
    type: "string",
    value: "N%",
    says: "with --against: exit status 1 if a figure is surely worse by more; default 10%",
  },
  absolute: {
    type: "boolean",
    says: "with --against: judges calls a second, latencies and CPU, too, and not only ratios and bytes",
  },
} as const satisfies Options;

const DEFAULT_LIMIT = 0.1;

/** The part of a comparison that must be the same in both runs. */
export type ComparedSetting = Pick<Comparison, "id" | "title" | "script" | "inFlight">;

/** An earlier run with which a new one is compared. */
export class EarlierRun {
  readonly #file: string;
  readonly #report: BenchReport;
  readonly #limit: number;
  readonly #absolute: boolean;

  private constructor(file: string, report: BenchReport, limit: number, absolute: boolean) {
    this.#file = file;
    this.#report = report;
    this.#limit = limit;
    this.#absolute = absolute;
  }

  /**
   * The run that the options name; undefined without `--against`. Reads its file, so that a wrong one is known before a
   * measurement.
   * @throws {InvalidArgumentError} names what was wrong and what is accepted.
   */
  static from(values: {
    readonly against?: string | undefined;
    readonly limit?: string | undefined;
    readonly absolute?: boolean | undefined;
  }): EarlierRun | undefined {
    const limit = shareOf("--limit", values.limit, { least: 0, most: 10 });
    if (values.against === undefined) {
      if (limit === undefined && values.absolute === undefined) return undefined;
      throw new InvalidArgumentError("--limit and --absolute need --against FILE.");
    }
    const report = storedReport("--against", values.against);
    return new EarlierRun(values.against, report, limit ?? DEFAULT_LIMIT, values.absolute ?? false);
  }

  /**
   * Refuses what cannot be compared. It can be asked early with what is known then, and must be asked with all in the end.
   * @throws {InvalidArgumentError} says what is not the same.
   */
  refuseOther(environment: Partial<Environment>, settings?: readonly ComparedSetting[]): void {
    const others = [
      ...differencesOf(this.#report.environment, environment),
      ...(settings === undefined ? [] : otherSettings(this.#report.comparisons, settings)),
    ];
    if (others.length === 0) return;
    const more = others.length > 4 ? [`and ${others.length - 4} more`] : [];
    throw new InvalidArgumentError(
      `--against ${JSON.stringify(this.#file)} cannot be compared: ${[...others.slice(0, 4), ...more].join("; ")}. Accepted is a run on the same machine and server, of the same scripts and settings.`,
    );
  }

  /** @throws {InvalidArgumentError} as `refuseOther`. */
  judge(now: BenchReport): Judgement {
    this.refuseOther(now.environment, now.comparisons);
    const wayNames = ({ base, ways }: Comparison) => [base, ...ways.map(({ name }) => name)].join();
    for (const comparison of now.comparisons) {
      const before = this.#report.comparisons.find(({ id }) => id === comparison.id) as Comparison;
      if (wayNames(before) === wayNames(comparison)) continue;
      throw new InvalidArgumentError(
        `--against ${JSON.stringify(this.#file)} cannot be compared: it compares other ways (${comparison.title}). Accepted is a run of the same scripts and settings.`,
      );
    }
    return judge(this.#report, now, { limit: this.#limit, absolute: this.#absolute });
  }
}

/** What makes figures of two runs differ by itself. The date, slotwire and its commit may be others. */
const SAME: Readonly<Partial<Record<keyof Environment, string>>> = {
  cpu: "CPU",
  cores: "cores",
  memoryGiB: "GiB of memory",
  system: "system",
  node: "Node's major version",
  server: "server",
  setting: "setting",
};

function differencesOf(then: Environment, now: Partial<Environment>): string[] {
  return (Object.keys(SAME) as (keyof Environment)[]).flatMap((name) => {
    if (now[name] === undefined) return [];
    const shown = (value: string | number | undefined) => {
      return name === "node" ? String(value).replace(/\..*/s, "") : String(value);
    };
    const [before, after] = [shown(then[name]), shown(now[name])];
    return before === after ? [] : [`${SAME[name]} ${quoted(before)} then, ${quoted(after)} now`];
  });
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

function otherSettings(then: readonly ComparedSetting[], now: readonly ComparedSetting[]): string[] {
  const only = (some: readonly ComparedSetting[], others: readonly ComparedSetting[], when: string) => {
    const ids = new Set(others.map(({ id }) => id));
    return some.filter(({ id }) => !ids.has(id)).map(({ title }) => `${quoted(title)} ${when}`);
  };
  const changed = now.flatMap((each) => {
    const before = then.find(({ id }) => id === each.id);
    if (before === undefined) return [];
    if (before.inFlight !== each.inFlight)
      return [`${quoted(each.title)} had ${before.inFlight} in flight then, ${each.inFlight} now`];
    const [a, b] = [before.script, each.script];
    if (a.name === b.name && a.bytes === b.bytes) return [];
    return [
      `${quoted(each.title)} ran the script ${quoted(a.name)} of ${a.bytes} bytes then, ${quoted(b.name)} of ${b.bytes} bytes now`,
    ];
  });
  return [...changed, ...only(then, now, "was measured only then"), ...only(now, then, "is measured only now")];
}
