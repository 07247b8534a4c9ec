import { noiseLine, QuietCheck } from "../../src/cli/bench/quiet.ts";

import type { Environment, WayFigures } from "../../src/cli/bench/report.ts";
import { describeEnvironment } from "./environment.ts";

const METHOD =
  "Figures are medians of rounds, ratios medians of the ratios of rounds, with the interval that holds them in 95 of 100 runs.";

/** The machine on which a benchmark runs, and whether it was quiet meanwhile. */
export class Occasion {
  readonly environment: Environment;
  readonly #check: QuietCheck;

  private constructor(environment: Environment, check: QuietCheck) {
    this.environment = environment;
    this.#check = check;
  }

  /** Rests for a moment, and looks at what others do. */
  static async begin(server: string, setting: string): Promise<Occasion> {
    return new Occasion(describeEnvironment(server, setting), await QuietCheck.begin());
  }

  /** The head of a report: first that the machine was not quiet, if it was not. */
  lines(ways: readonly Pick<WayFigures, "rounds">[]): string[] {
    const { server, node, cores, cpu, setting } = this.environment;
    const noise = noiseLine(this.quiet(ways));
    return [
      ...(noise === undefined ? [] : [noise]),
      server,
      `Node ${node}, ${cores} x ${cpu}, ${setting}`,
      "",
      METHOD,
      "",
    ];
  }

  /** @param ways  Their rounds show how far the values of one way lie apart. */
  quiet(ways: readonly Pick<WayFigures, "rounds">[]) {
    // How much of the CPU the servers and the measured processes used is not known here.
    return this.#check.end({ otherOwnCpu: undefined, comparisons: [{ ways }] });
  }
}
