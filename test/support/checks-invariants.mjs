/* `node --import ./test/support/checks-invariants.mjs`: slotwire checks its own invariants. */
Reflect.set(globalThis, Symbol.for("slotwire.checksInvariants"), true);
