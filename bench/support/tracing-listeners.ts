import { channel, tracingChannel } from "node:diagnostics_channel";
import { pathToFileURL } from "node:url";

/** The listeners that are subscribed while calls are made. */
export type Listening = "nobody" | "attempts" | "commands" | "durations" | "opentelemetry";

const ignore = () => {};

/** Subscribes the listeners that `listening` names to the client built in `dist`. */
export async function listen(listening: Listening, dist: string): Promise<void> {
  if (listening === "attempts") channel("slotwire:attempt").subscribe(ignore);
  if (listening === "commands") {
    const command = tracingChannel("slotwire:command");
    for (const each of [command.start, command.end, command.asyncStart, command.asyncEnd, command.error]) {
      each.subscribe(ignore);
    }
  }
  if (listening !== "opentelemetry") return;
  const { BasicTracerProvider, AlwaysOnSampler } = await import("@opentelemetry/sdk-trace-base");
  const { MeterProvider } = await import("@opentelemetry/sdk-metrics");
  const { instrument } = (await import(
    pathToFileURL(`${dist}/telemetry/opentelemetry/index.js`).href
  )) as typeof import("../../src/telemetry/opentelemetry/index.ts");
  // Spans are made and measured, but not exported.
  instrument({
    tracerProvider: new BasicTracerProvider({ sampler: new AlwaysOnSampler() }),
    meterProvider: new MeterProvider(),
  });
}
