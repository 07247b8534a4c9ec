import type { BenchResult, Figures } from "./measure.ts";
import { printable } from "./printable.ts";
import type { Paint } from "./terminal.ts";

const COLUMNS = ["", "calls/s", "p50 ms", "p99 ms", "sent", "received"];
const WIDTHS = [7, 11, 9, 9, 8, 10];

/** The comparison as lines. Bytes are per call. */
export function drawBench(result: BenchResult, paint: Paint): string[] {
  const { primaries, inFlight, seconds, script, replies, evalsha } = result;
  const where = primaries === 1 ? "1 primary" : `${primaries} primaries`;
  const times = evalsha.callsPerSecond / result.eval.callsPerSecond;
  const share = (100 * evalsha.bytesSentPerCall) / result.eval.bytesSentPerCall;
  return [
    `${where}, ${inFlight} calls in flight, ${seconds} s each; ${printable(script.name)} has ${script.bytes} bytes`,
    "",
    paint.faint(rowOf(COLUMNS)),
    rowOf(["EVALSHA", ...cellsOf(evalsha)]),
    rowOf(["EVAL", ...cellsOf(result.eval)]),
    "",
    `EVALSHA: ${paint.strong(`${times.toFixed(2)} times`)} the calls a second, ${share.toFixed(0)} % of the bytes sent.`,
    `${grouped(replies)} replies were counted, with those of the warm-up; none was wrong.`,
  ];
}

function cellsOf({ callsPerSecond, p50, p99, bytesSentPerCall, bytesReceivedPerCall }: Figures): string[] {
  return [
    grouped(callsPerSecond),
    p50.toFixed(2),
    p99.toFixed(2),
    grouped(bytesSentPerCall),
    grouped(bytesReceivedPerCall),
  ];
}

function rowOf(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(7) : cell.padStart(WIDTHS[index] ?? 0))).join("");
}

/** `12,345` */
function grouped(number: number): string {
  return Math.round(number).toLocaleString("en-US");
}
