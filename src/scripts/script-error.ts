import { type Outcome, ReplyError, type ScriptPlace } from "../errors.ts";
import type { Script } from "./script.ts";

/** What is needed of a script to say where it failed. */
export interface FailingScript extends Pick<Script, "name" | "sha"> {
  readonly origin?: Script["origin"] | undefined;
}

/** Longer lines are cut: scripts that were packed into one line are not to be whole in an error. */
const MAX_LINE_LENGTH = 120;

// How the servers name a line. Looked at: Redis 6.0, 7.0, 8.0 and Valkey 8.0, 8.1, 9. The words around it may be the
// script's own; the SHA-1 shows that it is this script's line.
const LINE_WORDINGS: readonly RegExp[] = [
  // Redis 7 on, and Valkey; without the SHA-1 from Valkey 9 on.
  / script: (?:(?<sha>[0-9a-f]{40}), )?on @user_script:(?<line>\d+)\.$/,
  // Functions, from Redis 7 on.
  / script: (?:\S+, )?on @user_function:(?<line>\d+)\.$/,
  // Redis 6. For globals the first place is in the server's own Lua.
  /^ERR Error running script \(call to f_(?<sha>[0-9a-f]{40})\): (?:@enable_strict_lua:\d+: |@)user_script:(?<line>\d+): /,
  // At SCRIPT LOAD, and at EVAL.
  /^ERR Error compiling script \(new function\): user_script:(?<line>\d+): /,
  /^ERR Error compiling function: user_function:(?<line>\d+): /,
];

const NEEDS_FUNCTIONS = /^ERR unknown command [`'](FCALL|FCALL_RO|FUNCTION)[`']/;

/** The error of a call that ran `script`, if it ran one, with the line where it failed, if the server names one. */
export function replyErrorOf(reply: string, outcome: Outcome, script: FailingScript | undefined): ReplyError {
  const cause = NEEDS_FUNCTIONS.test(reply) ? new Error("Functions need Redis 7.0 or later, or Valkey.") : undefined;
  return new ReplyError(reply, outcome, script && placeOf(reply, script), cause);
}

function placeOf(reply: string, { name, sha, origin }: FailingScript): ScriptPlace {
  for (const wording of LINE_WORDINGS) {
    const groups = wording.exec(reply)?.groups;
    if (groups === undefined || (groups.sha ?? sha) !== sha) continue;
    const line = Number(groups.line);
    // What was still open at the end is missed a line or two behind it.
    const found = origin?.(line) ?? origin?.(line - 1) ?? origin?.(line - 2);
    if (found) return { script: name, file: found.file, line: found.line, sourceLine: shortened(found.text) };
  }
  return { script: name };
}

function shortened(text: string): string {
  const line = text.trim();
  return line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH - 1).trimEnd()}…` : line;
}
