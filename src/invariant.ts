/**
 * Whether invariants are checked: in tests and in the simulator, which set the symbol before slotwire is loaded. Where a
 * check costs something, ask this first.
 */
export const CHECKS_INVARIANTS: boolean = Reflect.get(globalThis, Symbol.for("slotwire.checksInvariants")) === true;

/** Throws, where invariants are checked, when one does not hold: the fault is slotwire's own. */
export function invariant(holds: boolean, what: string): void {
  if (CHECKS_INVARIANTS && !holds) throw new Error(`Broken invariant: ${what}`);
}
