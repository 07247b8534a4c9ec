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

/** Lets a node take transactions of `commands`. `run` gives the reply to each command. */
export function takeTransactions(
  node: FakeNode,
  commands: readonly string[],
  run: (args: readonly string[]) => Answer,
): TransactionRules {
  const rules: TransactionRules = { multi: () => ok, refuse: () => undefined, exec: () => undefined };
  /** By connection. */
  const open = new Map<number, { readonly queued: (readonly string[])[]; isDiscarded: boolean }>();
  node.always("MULTI", (_, connection) => {
    const answer = rules.multi();
    if (answer === ok) open.set(connection, { queued: [], isDiscarded: false });
    return answer;
  });
  for (const command of commands) {
    node.always(command, (args, connection) => {
      const transaction = open.get(connection);
      if (transaction === undefined) return run(args);
      const refusal = rules.refuse(args);
      if (refusal === undefined) transaction.queued.push(args);
      else transaction.isDiscarded = true;
      return refusal === undefined ? "+QUEUED\r\n" : error(refusal);
    });
  }
  node.always("EXEC", (_, connection) => {
    const transaction = open.get(connection);
    open.delete(connection);
    if (transaction === undefined) return error("ERR EXEC without MULTI");
    const { queued, isDiscarded } = transaction;
    // The empty transaction is a question.
    const answer = queued.length === 0 && !isDiscarded ? undefined : rules.exec(queued);
    if (answer !== undefined) return answer;
    if (isDiscarded) return error("EXECABORT Transaction discarded because of previous errors.");
    return array(...queued.map(run));
  });
  return rules;
}
