import { list } from "@ioredis/commands";

/** Commands that the client has a method of its own for, or that make no sense on it. */
const OWN = new Set([
  ...["subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"],
  ...["multi", "exec", "scan", "quit"],
]);

/** The names of all commands that become methods. */
const COMMAND_NAMES: readonly string[] = list.filter((name) => /^\w+$/.test(name) && !OWN.has(name));

type Send<T> = (on: T, name: string, values: readonly unknown[], wantsBuffers: boolean) => unknown;

/**
 * Gives a prototype a method for each command, and one that gives Buffers: `get` and `getBuffer`.
 * @param send  Sends, or collects, one command.
 */
export function addCommands<T extends object>(prototype: T, send: Send<T>): void {
  becomeDictionary(prototype);
  for (const name of COMMAND_NAMES) addCommand(prototype, name, send);
}

/**
 * Makes the engine keep an object's properties in a hash table, as it does when one of them is deleted. 600 properties that
 * are added one by one take a tenth of the time then, which is half the time of an import of this module.
 */
function becomeDictionary(object: object): void {
  const [first, second] = [Symbol(), Symbol()];
  for (const key of [first, second]) Object.defineProperty(object, key, { configurable: true });
  for (const key of [first, second]) Reflect.deleteProperty(object, key);
}

/** Gives an object, or a prototype, one command and its variant for Buffers. */
export function addCommand<T extends object>(target: T, name: string, send: Send<T>): void {
  const methods = target as Record<string, unknown>;
  methods[name] = methodOf(name, send, false);
  methods[`${name}Buffer`] = methodOf(name, send, true);
}

/** The same for one that was defined: its name can be that of anything else. */
export function addDefined<T extends object>(target: T, name: string, send: Send<T>): void {
  for (const [method, wantsBuffers] of [
    [name, false],
    [`${name}Buffer`, true],
  ] as const) {
    const value = methodOf(name, send, wantsBuffers);
    Object.defineProperty(target, method, { value, configurable: true, enumerable: true, writable: true });
  }
}

function methodOf<T extends object>(name: string, send: Send<T>, wantsBuffers: boolean) {
  return function (this: T, ...values: unknown[]): unknown {
    return send(this, name, values, wantsBuffers);
  };
}
