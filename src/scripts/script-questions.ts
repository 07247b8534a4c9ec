import type { Connection } from "../connection/connection.ts";
import { ReplyError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Loadable } from "./loadable.ts";

/** A node's own word about a script or library: it has it, it has another library of that name, or it has none. */
export type Finding = "same" | "other" | "none";

/**
 * Asks a node which of `wanted` it has, in one write. An item without a finding is one that the user may not ask about; the
 * user may still be allowed to load it.
 * @throws The connection was lost.
 */
export async function askWhatIsHeld(
  connection: Connection,
  wanted: readonly Loadable[],
): Promise<Map<Loadable, Finding>> {
  const scripts = wanted.filter(({ kind }) => kind === "script");
  const libraries = wanted.filter(({ kind }) => kind === "library");
  const questions = libraries.map(({ name }) => ["FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE"]);
  if (scripts.length > 0) questions.unshift(["SCRIPT", "EXISTS", ...scripts.map(({ sha }) => sha)]);
  const answers = await Promise.all(connection.exchange(...questions).map(unlessRefused));
  const findings = new Map<Loadable, Finding>();
  const exists = scripts.length > 0 ? answers.shift() : undefined;
  if (Array.isArray(exists)) {
    for (const [index, script] of scripts.entries()) findings.set(script, exists[index] === 1 ? "same" : "none");
  }
  for (const [index, library] of libraries.entries()) {
    const answer = answers[index];
    if (answer !== undefined) findings.set(library, findingOf(library, answer));
  }
  return findings;
}

/** The reply, or undefined where the server answers with an error. */
function unlessRefused(answer: Promise<Reply>): Promise<Reply | undefined> {
  return answer.catch((error: unknown) => {
    if (error instanceof ReplyError) return undefined;
    throw error;
  });
}

/** @param answer  To FUNCTION LIST for the library's name: an array with one library, or an empty one. */
function findingOf({ source }: Loadable, answer: Reply): Finding {
  const [found] = Array.isArray(answer) ? answer : [];
  if (!Array.isArray(found)) return "none";
  const at = found.indexOf("library_code");
  if (at === -1) return "none";
  return found[at + 1] === source ? "same" : "other";
}
