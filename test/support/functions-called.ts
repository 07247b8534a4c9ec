import { Session } from "node:inspector/promises";

/**
 * How often functions are called while `work` runs: those of this project below the layers that send calls, and those of
 * redis-parser. The count is V8's own, and the same on every machine.
 */
export async function functionsCalled(work: () => Promise<void>): Promise<number> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    await work();
    const { result } = await session.post("Profiler.takePreciseCoverage");
    const counted = result.filter(({ url }) => /\/src\/(protocol|connection|topology)\/|redis-parser/.test(url));
    const calls = counted.flatMap(({ functions }) => functions.map(({ ranges }) => ranges[0]?.count ?? 0));
    return calls.reduce((sum, each) => sum + each, 0);
  } finally {
    session.disconnect();
  }
}
