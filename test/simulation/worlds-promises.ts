import type { Made } from "./calls.ts";
import type { Ledger } from "./ledger.ts";
import type { FaultKind, Plan } from "./plan.ts";

/** Faults that neither break connections nor take slots from their owners. */
const MILD: readonly FaultKind[] = ["flush", "flush-all", "deny", "stall"];

/** Whether one node at most lacks others, and no slot ever loses its owner. */
export function isOneViewWrong({ faults, worlds }: Plan): boolean {
  const isOne = worlds.length === 1 && (worlds[0] === "forget" || worlds[0] === "join");
  return isOne && faults.every((kind) => MILD.includes(kind));
}

/** Of a node that runs a script, say: its slots have their owner, which answered nobody until the call's time was up. */
const SILENT = /has given no sign of life for|no answer for [\d.]+ ms, nor on a second connection|\(BUSY /;

/** A view that lacks something is not believed while other nodes know better. */
export function lostOwners(made: readonly Made[], plan: Plan): string[] {
  if (!isOneViewWrong(plan)) return [];
  return made.flatMap(({ number, failure }) =>
    failure?.code === "UNAVAILABLE" && !SILENT.test(failure.message)
      ? [`call ${number} failed, and one node alone was wrong: ${failure.message}`]
      : [],
  );
}

/** Said of a node that a view lacks which is believed. */
const LEFT = "(the node left the cluster)";

/**
 * A connection that nothing has broken is not lost, however slow it is and however long the server takes. But a node that
 * runs a script cannot be asked for the topology. If the only other one has forgotten it, that one's view is believed when
 * it has said the same for 200 ms.
 */
export function lostWithoutCause(made: readonly Made[], { worlds }: Plan): string[] {
  const mayLeave = worlds.includes("forget") && made.some(({ what }) => what === "slow");
  return made.flatMap(({ number, failure }) =>
    failure?.code === "CONNECTION_LOST" && !(mayLeave && failure.message.includes(LEFT))
      ? [`call ${number} was lost, and nothing was broken: ${failure.message}`]
      : [],
  );
}

/** A reply that has arrived wins over a deadline. */
export function outrunReplies(made: readonly Made[], ledger: Ledger): string[] {
  return made.flatMap(({ number, failure, settledAt = 0 }) => {
    const { arrivedAtMs } = ledger.of(number);
    if (failure?.code !== "DEADLINE" || arrivedAtMs === undefined || arrivedAtMs >= settledAt) return [];
    return [`call ${number} ran out of time ${settledAt - arrivedAtMs} ms after its reply had arrived`];
  });
}
