import { list } from "@ioredis/commands";

/** Commands that the client has a method of its own for, or that make no sense on it. */
const OWN = new Set([
  ...["subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"],
  ...["multi", "exec", "scan", "quit"],
]);

/** The names of all commands that become methods. */
export const COMMAND_NAMES: readonly string[] = list.filter((name) => /^\w+$/.test(name) && !OWN.has(name));

/**
 * Gives a class a method for each command, and one that gives Buffers: `get` and `getBuffer`.
 * @param send  Sends, or collects, one command.
 */
export function addCommands<T extends object>(
  prototype: T,
  send: (on: T, name: string, values: readonly unknown[], wantsBuffers: boolean) => unknown,
): void {
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

/** Gives an object, or a class, one command and its variant for Buffers. */
export function addCommand<T extends object>(
  target: T,
  name: string,
  send: (on: T, name: string, values: readonly unknown[], wantsBuffers: boolean) => unknown,
): void {
  for (const [method, wantsBuffers] of [
    [name, false],
    [`${name}Buffer`, true],
  ] as const) {
    Object.defineProperty(target, method, {
      value(this: T, ...values: unknown[]) {
        return send(this, name, values, wantsBuffers);
      },
      configurable: true,
      writable: true,
    });
  }
}
