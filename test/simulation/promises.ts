import type { Entry, Ledger } from "./ledger.ts";
import type { SimNode } from "./sim-node.ts";
import type { Made } from "./workload.ts";

/** What is checked of each call once nothing can happen to it any more. */
export function brokenPromises(made: readonly Made[], ledger: Ledger, longestStall: number): string[] {
  return made.flatMap((call) => {
    const entry = ledger.of(call.number);
    return [
      settledOnceIn(call),
      inTime(call, longestStall),
      ranOnce(call, entry),
      outcomeIsTrue(call, entry),
      replyIsItsOwn(call),
    ].flatMap((broken) => (broken === undefined ? [] : [`call ${call.number} (${call.what}): ${broken}`]));
  });
}

/** From a deadline to the end of the call: a timer's grain, and what the client was busy with. */
const GRAIN_MS = 3;

function settledOnceIn({ timesSettled }: Made): string | undefined {
  return timesSettled === 1 ? undefined : `settled ${timesSettled} times`;
}

function inTime({ madeAt, settledAt, timeoutMs }: Made, longestStall: number): string | undefined {
  if (settledAt === undefined || timeoutMs === 0) return undefined;
  const tookMs = settledAt - madeAt;
  return tookMs <= timeoutMs + longestStall + GRAIN_MS ? undefined : `took ${tookMs} ms of ${timeoutMs} ms`;
}

function ranOnce({ mayRepeat }: Made, { executed }: Entry): string | undefined {
  return mayRepeat || executed <= 1 ? undefined : `ran ${executed} times`;
}

function outcomeIsTrue({ failure, reply, mustFailWith, mayRepeat, isMarked }: Made, entry: Entry): string | undefined {
  const { executed, written } = entry;
  const told = `told as ${failure === undefined ? `a reply ${JSON.stringify(reply)}` : `${failure.code}, ${failure.outcome}`}`;
  const seen = `${told}: written ${written}, refused ${entry.refused}, executed ${executed} times`;
  if (failure === undefined) return executed > 0 || !isMarked || reply === undefined ? undefined : seen;
  if (!isMarked && failure.outcome !== undefined) return undefined;
  switch (failure.outcome) {
    case "executed":
      return executed > 0 ? undefined : seen;
    case "not-executed":
      return executed === 0 ? undefined : seen;
    case "unknown":
      if (mustFailWith !== undefined && failure.code === "REPLY") return seen;
      // What was never handed to a socket, or was refused each time, is known not to have run.
      return written > 0 || mayRepeat ? undefined : seen;
    default:
      return `has no outcome: ${failure.code ?? failure}: ${failure.message}`;
  }
}

function replyIsItsOwn({ reply, failure, wrongIn, mustFailWith }: Made): string | undefined {
  if (failure === undefined) {
    if (mustFailWith !== undefined) return `its script failed, and yet it got ${JSON.stringify(reply)}`;
    const wrong = wrongIn(reply);
    return wrong && `its reply ${wrong}: ${JSON.stringify(reply)}`;
  }
  if (failure.code !== "REPLY" || failure.outcome !== "executed") return undefined;
  return failure.reply === mustFailWith
    ? undefined
    : `got the error ${failure.reply} from a script that raises none such`;
}

/** Calls of a slot are written in call order, those that were written once and no more. */
export function brokenOrder(made: readonly Made[], ledger: Ledger): string[] {
  const broken: string[] = [];
  const latest = new Map<number, { written: Made; executed: Map<string, Made> }>();
  for (const call of made) {
    const entry = ledger.of(call.number);
    if (!call.inOrder || entry.written !== 1 || entry.refused > 0) continue;
    const before = latest.get(call.slot) ?? { written: call, executed: new Map<string, Made>() };
    latest.set(call.slot, before);
    if (ledger.of(before.written.number).writtenAs > entry.writtenAs) {
      broken.push(`call ${call.number} was written before call ${before.written.number} of the same slot`);
    } else before.written = call;
    if (entry.executed !== 1) continue;
    const ran = before.executed.get(entry.executedBy);
    if (ran !== undefined && ledger.of(ran.number).executedAs > entry.executedAs) {
      broken.push(`call ${call.number} ran before call ${ran.number} of the same slot`);
    } else before.executed.set(entry.executedBy, call);
  }
  return broken;
}

/** Loads of one script on one node: one at first, one for each time that the node lost it, a few that crossed. */
export function tooManyLoads(nodes: readonly SimNode[], groups: number): string[] {
  return nodes.flatMap((node) =>
    [...node.loads].flatMap(([sha, { all, needless }]) => {
      const most = 1 + node.flushes + 2 * node.accepted + groups;
      if (all <= most && needless <= node.flushes + node.accepted + groups) return [];
      return [
        `${node.name} was sent script ${sha.slice(0, 8)} ${all} times, ${needless} of them needlessly; ${most} at most`,
      ];
    }),
  );
}
