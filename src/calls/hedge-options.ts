import { InvalidArgumentError } from "../errors.ts";
import { wholeNumber } from "../options.ts";
import { kindOf } from "../protocol/encode.ts";
import type { HedgeTerms, ReadFrom } from "../routing/call.ts";

/** When a read-only call is sent once more, to another node. */
export interface HedgeOptions {
  /** Milliseconds without an answer, from 1. A good value is the time that 95 to 99 of 100 calls need. */
  readonly after: number;
  /**
   * The most that is sent twice, as a share of the calls of views with `hedge`: 0 to 1. The client has one account for all
   * its views. What is not used up is kept for later, up to 1,000 requests.
   * @default 0.05
   */
  readonly budget?: number | undefined;
}

const DEFAULT_BUDGET = 0.05;
const AFTER = { fallback: 0, least: 1, most: 2 ** 31 - 1 };

/**
 * Checks the option `hedge` of a view.
 * @param readFrom   The `readFrom` of the same view.
 * @param inherited  The terms of the view that `with` is called of.
 * @throws {InvalidArgumentError} naming what is wrong and what is accepted.
 */
export function hedgeTerms(
  hedge: unknown,
  readFrom: ReadFrom,
  inherited: HedgeTerms | undefined,
): HedgeTerms | undefined {
  if (hedge === false) return undefined;
  if (hedge === undefined) {
    if (inherited === undefined || readFrom !== "primary") return inherited;
    throw new InvalidArgumentError(
      'with: readFrom is "primary", but the view that it is called of has hedge, which needs another node to ask; accepted are hedge: false beside it, and readFrom "replica", "any" and { zone }.',
    );
  }
  if (typeof hedge !== "object" || hedge === null || Array.isArray(hedge)) {
    throw new InvalidArgumentError(`with: hedge is ${kindOf(hedge)}; accepted are { after, budget } and false.`);
  }
  for (const name of Object.keys(hedge)) {
    if (name === "after" || name === "budget") continue;
    throw new InvalidArgumentError(`with: hedge has no option "${name}"; accepted are after, budget.`);
  }
  const { after, budget = DEFAULT_BUDGET } = hedge as Partial<HedgeOptions>;
  if (after === undefined) {
    throw new InvalidArgumentError("with: hedge lacks after, the milliseconds after which a call is sent once more.");
  }
  const afterMs = wholeNumber("with: hedge.after", after, AFTER);
  if (typeof budget !== "number" || !(budget >= 0 && budget <= 1)) {
    const shown = typeof budget === "number" ? String(budget) : kindOf(budget);
    throw new InvalidArgumentError(`with: hedge.budget is ${shown}; accepted is a number from 0 to 1.`);
  }
  if (readFrom === "primary") {
    throw new InvalidArgumentError(
      'with: hedge needs another node to ask, and readFrom is "primary"; accepted are "replica", "any" and { zone }.',
    );
  }
  return Object.freeze({ afterMs, budget });
}
