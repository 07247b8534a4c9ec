import type { Argument } from "../index.ts";
import { givenTo, withPrefix } from "./arguments.ts";
import { told } from "./callbacks.ts";
import { errorOf, shaped } from "./replies.ts";

/**
 * Sends one command as a method of ioredis does: with its arguments sorted out and its keys prefixed, its reply and its
 * error in ioredis's shape, and its callback told.
 *
 * @param send  Sends it.
 */
export function sendShaped(
  name: string,
  values: readonly unknown[],
  keyPrefix: string,
  send: (name: string, args: readonly Argument[]) => Promise<unknown>,
): Promise<unknown> {
  const { args, callback } = givenTo(name, values);
  const result = send(name, withPrefix(keyPrefix, name, args)).then(
    (reply) => shaped(name, reply),
    (error: unknown) => {
      throw errorOf(error, name, args.length);
    },
  );
  return told(result, callback);
}
