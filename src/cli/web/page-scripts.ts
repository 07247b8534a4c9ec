import { InvalidArgumentError } from "../../errors.ts";
import { defineScript, type Script } from "../../scripts/script.ts";

/**
 * Counts its runs under each of its keys. The servers' values of the keys are the ledger that tells whether, and how often,
 * the script has run. With two keys, a slot that is half-way can have one of them here and the other one there.
 */
export const COUNT: Script = defineScript({
  name: "count",
  source: "local runs\nfor _, key in ipairs(KEYS) do\n  runs = redis.call('INCR', key)\nend\nreturn runs",
});

/** The scripts that the page can call, by name: its own and the user's. */
export function scriptsByName(users: readonly Script[]): Map<string, Script> {
  if (users.some(({ name }) => name === COUNT.name)) {
    throw new InvalidArgumentError(
      `a script is named "${COUNT.name}"; accepted is any other name, because the page has one of this name.`,
    );
  }
  return new Map([COUNT, ...users].map((script) => [script.name, script]));
}
