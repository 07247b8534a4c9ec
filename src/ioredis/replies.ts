import { ClosedError, ReplyError } from "../index.ts";

/** The reply in ioredis's shape. */
export function shaped(name: string, reply: unknown): unknown {
  if (name !== "hgetall" || !Array.isArray(reply)) return reply;
  const fields: Record<string, unknown> = {};
  for (let index = 0; index < reply.length; index += 2) {
    // A field of any name, such as `__proto__`, becomes a property of the object's own.
    Object.defineProperty(fields, String(reply[index]), {
      value: reply[index + 1],
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return fields;
}

/** The command of an error, without the values that it was called with. */
interface FailedCommand {
  readonly name: string;
  /** As many as the command had; what they were is not told. */
  readonly args: readonly string[];
}

/**
 * The error in ioredis's shape: the server's text is the message. The error of slotwire, with its outcome, is the cause.
 */
export function errorOf(error: unknown, name: string, count: number): Error {
  if (error instanceof ClosedError) return closedError(error);
  if (!(error instanceof ReplyError)) return error as Error;
  const { code, outcome, reply } = error;
  const shapedError = new Error(reply, { cause: error });
  const command: FailedCommand = { name, args: new Array<string>(count).fill("?") };
  Object.defineProperty(shapedError, "name", { value: "ReplyError", configurable: true, writable: true });
  return Object.assign(shapedError, { command, code, outcome });
}

/** The text is compared word for word by packages. */
export function closedError(cause?: Error): Error {
  return new Error("Connection is closed.", cause && { cause });
}

/** The error of a transaction that was not executed, because the server refused to queue one of its commands. */
export function discardedError(error: unknown): Error {
  if (!(error instanceof ReplyError) || error.reply.startsWith("EXECABORT")) return errorOf(error, "exec", 0);
  const discarded = errorOf(error, "exec", 0);
  const previousErrors = [errorOf(error, error.command ?? "", 0)];
  discarded.message = "EXECABORT Transaction discarded because of previous errors.";
  return Object.assign(discarded, { previousErrors });
}
