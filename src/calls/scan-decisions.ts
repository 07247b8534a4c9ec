/** After so many passes in a row that finished no slot, slots do not come to rest. */
const MOST_FRUITLESS = 30;
/** How often a scan looks again for the owner of a slot that nobody owns. */
const MOST_LOOKUPS = 5;
const LONGEST_PAUSE_MS = 1000;

/**
 * What follows a pass of a scan. Pure.
 *
 * | the pass | next |
 * | --- | --- |
 * | finished slots | the next pass, at once |
 * | finished none, or no node could be scanned | the next pass, after a refresh and a pause |
 * | was the 31st in a row that finished none | give up |
 * | was the 6th in a row without a node to scan | give up |
 *
 * @param fruitless  The number of passes in a row that finished no slot, including this one.
 */
export function decideAfterPass(fruitless: number, hadNode: boolean): "go-on" | "settle" | "give-up" {
  if (fruitless === 0) return "go-on";
  return fruitless > (hadNode ? MOST_FRUITLESS : MOST_LOOKUPS) ? "give-up" : "settle";
}

/**
 * Milliseconds of the pause after passes that finished no slot: doubling from 20 to 1,000. Half of the pause is random.
 * @param chance  In [0, 1).
 */
export function pauseMs(fruitless: number, chance: number): number {
  return Math.min(LONGEST_PAUSE_MS, 10 * 2 ** fruitless) * (0.5 + chance / 2);
}

/** How often a question is repeated whose connection was lost. */
const MOST_REPEATS = 3;

/**
 * What follows when a question about a node failed (CLUSTER NODES, INFO). Pure. The servers do not flag these commands
 * `readonly`, but the commands change nothing, so they may run twice.
 *
 * | the failure | next |
 * | --- | --- |
 * | the server refused to answer | go on without an answer |
 * | the connection was lost | ask again, 3 times at most |
 * | any other | reject |
 */
export function decideAfterQuestion(
  failure: "refused" | "lost" | "other",
  repeats: number,
): "none" | "repeat" | "reject" {
  if (failure === "refused") return "none";
  return failure === "lost" && repeats < MOST_REPEATS ? "repeat" : "reject";
}

/**
 * Decides what follows when a node did not answer a step or a question of a scan. Pure.
 *
 * | the failure | next |
 * | --- | --- |
 * | the user's signal, or the end of the client | reject |
 * | any other, and the node still serves slots | reject |
 * | any other, and the node serves none any more | abandon the pass: its slots are scanned where they are by then |
 */
export function decideAfterAsking(wasEnded: boolean, serves: boolean): "reject" | "abandon" {
  return wasEnded || serves ? "reject" : "abandon";
}

/** After slots have come to a node, so many steps are each followed by a look at its slots. */
const CALM_STEPS = 20;

/**
 * Decides what follows a look at the slots of a node. Pure.
 *
 * | since the look before | next |
 * | --- | --- |
 * | the node has got no slots | go on; one step less is to be followed by a look |
 * | the node has got slots | take the steps since then again, and look after each of the next 20 |
 *
 * @param isSettled  The node has got no slots since the look before.
 * @param careful    How many steps are still to be followed by a look.
 */
export function decideAfterLook(
  isSettled: boolean,
  careful: number,
): { readonly takesAgain: boolean; readonly careful: number } {
  return isSettled
    ? { takesAgain: false, careful: Math.max(0, careful - 1) }
    : { takesAgain: true, careful: CALM_STEPS };
}
