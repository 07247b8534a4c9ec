import { type Answer, array, error, type FakeNode, ok } from "./fake-node.ts";

/** What a node that takes transactions does on command. */
export interface TransactionRules {
  /** The answer to MULTI. */
  multi: () => Answer;
  /** Refuses a command that is to be queued. */
  refuse: (args: readonly string[]) => string | undefined;
  /** What EXEC is answered in place of the replies. */
  exec: (queued: readonly (readonly string[])[]) => Answer | undefined;
}

/** Lets a node take transactions of `commands`, on one connection. `run` gives the reply to each command. */
export function takeTransactions(
  node: FakeNode,
  commands: readonly string[],
  run: (args: readonly string[]) => Answer,
): TransactionRules {
  const rules: TransactionRules = { multi: () => ok, refuse: () => undefined, exec: () => undefined };
  let queued: (readonly string[])[] | undefined;
  let isDiscarded = false;
  node.always("MULTI", () => {
    const answer = rules.multi();
    if (answer === ok) queued = [];
    isDiscarded = false;
    return answer;
  });
  for (const command of commands) {
    node.always(command, (args) => {
      if (queued === undefined) return run(args);
      const refusal = rules.refuse(args);
      if (refusal === undefined) queued.push(args);
      else isDiscarded = true;
      return refusal === undefined ? "+QUEUED\r\n" : error(refusal);
    });
  }
  node.always("EXEC", () => {
    const all = queued;
    queued = undefined;
    if (all === undefined) return error("ERR EXEC without MULTI");
    // The empty transaction is a question.
    const answer = all.length === 0 && !isDiscarded ? undefined : rules.exec(all);
    if (answer !== undefined) return answer;
    if (isDiscarded) return error("EXECABORT Transaction discarded because of previous errors.");
    return array(...all.map(run));
  });
  return rules;
}
