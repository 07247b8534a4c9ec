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
  for (const name of COMMAND_NAMES) addCommand(prototype, name, send);
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
