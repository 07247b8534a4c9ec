import { type Outcome, ReplyError, type ScriptPlace } from "../errors.ts";
import type { Script } from "./script.ts";

/** The parts of a script that are needed to say where it failed. */
export interface FailingScript extends Pick<Script, "name" | "sha"> {
  readonly origin?: Script["origin"] | undefined;
}

/** Longer lines are cut, because an error must not hold a whole script that was packed into one line. */
const MAX_LINE_LENGTH = 120;

// The wordings in which Redis 6.0, 7.0, 8.0 and Valkey 8.0, 8.1, 9 name a line. A script can return the words around the
// line as an error of its own. So a SHA-1 in the text must be that of the script.
const LINE_WORDINGS: readonly RegExp[] = [
  // Redis from 7 on, and Valkey. Valkey leaves the SHA-1 out from 9 on.
  / script: (?:(?<sha>[0-9a-f]{40}), )?on @user_script:(?<line>\d+)\.$/,
  // Functions, from Redis 7 on.
  / script: (?:\S+, )?on @user_function:(?<line>\d+)\.$/,
  // Redis 6. The error of an undefined global begins with a place in the server's own Lua.
  /^ERR Error running script \(call to f_(?<sha>[0-9a-f]{40})\): (?:@enable_strict_lua:\d+: |@)user_script:(?<line>\d+): /,
  // The answers to SCRIPT LOAD and EVAL of a source that does not compile, and to FUNCTION LOAD.
  /^ERR Error compiling script \(new function\): user_script:(?<line>\d+): /,
  /^ERR Error compiling function: user_function:(?<line>\d+): /,
];

/** Whether a server refused a script or library because its Lua does not compile. */
export function doesNotCompile(reply: string): boolean {
  return /^ERR Error compiling (?:script|function)\b/.test(reply);
}

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
    // A block that is not closed is reported one or two lines behind the last line.
    const found = origin?.(line) ?? origin?.(line - 1) ?? origin?.(line - 2);
    if (found) return { script: name, file: found.file, line: found.line, sourceLine: shortened(found.text) };
  }
  return { script: name };
}

function shortened(text: string): string {
  const line = text.trim();
  return line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH - 1).trimEnd()}…` : line;
}
