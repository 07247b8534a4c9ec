/** What the suite showed in one runtime. */
export interface Result {
  readonly runtime: string;
  readonly version: string;
  /** Whether slotwire promises to work there. */
  readonly promised: boolean;
  readonly passed: number;
  /** The names of the steps that failed. */
  readonly failed: readonly string[];
  readonly seconds: number;
}

/** How the process of a suite ended. */
export interface Ending {
  /** Its standard output. */
  readonly output: string;
  /** Undefined when it was killed. */
  readonly code: number | undefined;
  /** Whether the servers that it had left running ended after it. */
  readonly leftServersEnded: boolean;
}

/** The steps in the suite's TAP, and the two that only the process's end shows. */
export function stepsOf({ output, code, leftServersEnded }: Ending): { passed: number; failed: string[] } {
  const steps = [...output.matchAll(/^(not )?ok \d+ - (.*)$/gm)].map(([, not, name = ""]) => ({ isOk: !not, name }));
  // A suite that stopped halfway has no plan.
  const planned = Number(/^1\.\.(\d+)$/m.exec(output)?.[1]);
  steps.push(
    { isOk: code === 0 && planned === steps.length, name: "the process ends by itself" },
    { isOk: leftServersEnded, name: "servers that were not stopped end with the process" },
  );
  const failed = steps.filter(({ isOk }) => !isOk).map(({ name }) => name);
  return { passed: steps.length - failed.length, failed };
}

/** Of the steps that failed, the first is named: others may have failed because of it. */
export function tableOf(results: readonly Result[]): string {
  const head = ["runtime", "version", "promised", "steps passed", "time", "failed"];
  const lines = results.map(({ runtime, version, promised, passed, failed, seconds }) => [
    runtime,
    version,
    promised ? "yes" : "no",
    `${passed} of ${passed + failed.length}`,
    `${seconds.toFixed(0)} s`,
    failed.length > 1 ? `${failed[0]}, and ${failed.length - 1} more` : (failed[0] ?? "-"),
  ]);
  const widths = head.map((title, column) =>
    Math.max(...[title, ...lines.map((line) => line[column] ?? "")].map((cell) => cell.length)),
  );
  const show = (line: readonly string[]) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [show(head), show(widths.map((width) => "-".repeat(width))), ...lines.map(show)].join("\n");
}
