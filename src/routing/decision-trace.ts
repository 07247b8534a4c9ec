import type { Outcome } from "../errors.ts";
import { formatAddress } from "../protocol/node-address.ts";
import type { TracedDecision } from "../telemetry/call-trace.ts";
import type { NextStep, Target } from "./next-step-rows.ts";

/** What a message about a decision has beside the step itself. */
export interface DecisionFacts {
  /** The node that refused the call, or lost it. */
  readonly address: string | undefined;
  /** The first word of the answer, `LOST`, or what else it was. */
  readonly failure: string;
  /** The pause in front of the next attempt. */
  readonly backoffMs: number | undefined;
  readonly remedy: string | undefined;
  /** What is known about the call, if it is rejected. */
  readonly outcome: Outcome;
  /** What the call has spent before this decision. */
  readonly redirections: number;
  readonly retries: number;
}

/** A decision as messages tell of it. */
export function tracedDecision(step: NextStep, facts: DecisionFacts): TracedDecision {
  const { row, kind: verdict, learned } = step;
  const { outcome, redirections, retries, ...rest } = facts;
  if (step.kind === "reject") {
    const nothing = { to: undefined, asking: false, when: undefined, spends: undefined };
    return { ...rest, row, verdict, ...nothing, learned, outcome, redirections, retries };
  }
  const { asking, when, spends } = step;
  return {
    ...rest,
    row,
    verdict,
    to: shown(step.to),
    asking,
    when,
    spends,
    learned,
    outcome: undefined,
    redirections: redirections + (spends === "redirection" ? 1 : 0),
    retries: retries + (spends === "retry" ? 1 : 0),
  };
}

function shown(to: Target): NonNullable<TracedDecision["to"]> {
  return { kind: to.kind, address: to.kind === "named" ? formatAddress(to) : undefined };
}
