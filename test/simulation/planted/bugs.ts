/** Text of one file of src, and what stands there instead. */
export interface Plant {
  readonly file: string;
  readonly text: string;
  readonly becomes: string;
}

/** A bug that the simulator must find, and the promise that it breaks. */
export interface Bug {
  readonly name: string;
  /** A seed that finds it. The search begins there, so a seed that still finds the bug saves the search. */
  readonly seed: number;
  readonly plants: readonly Plant[];
  readonly breaks: RegExp;
}

const bug = (
  name: string,
  seed: number,
  breaks: RegExp,
  ...plants: readonly [file: string, text: string, becomes: string][]
): Bug => ({
  name,
  seed,
  breaks,
  plants: plants.map(([file, text, becomes]) => ({ file, text, becomes })),
});

export const BUGS: readonly Bug[] = [
  bug("the replay after a NOSCRIPT forgets its ASKING", 465, /without ASKING/, [
    "routing/next-step.ts",
    "{remedy}`, asking);",
    "{remedy}`);",
  ]),
  bug(
    "ASKING goes in front of SCRIPT LOAD, which spends it",
    465,
    /without ASKING/,
    ["scripts/load-request.ts", "  readonly asking = false;", "  readonly asking = true;"],
    [
      "routing/retries.ts",
      "    call.asking = step.asking;",
      '    call.asking = step.asking && remedy?.kind !== "load";',
    ],
  ),
  bug("refusals are recognised by their first word", 1, /ran \d+ times/, [
    "protocol/error-reply.ts",
    "const known = WORDINGS.get(text);",
    'const known = [...WORDINGS].find(([words]) => words.split(" ")[0] === text.split(" ")[0])?.[1];',
  ]),
  bug("a MOVED of another slot is followed", 1, /ran \d+ times/, [
    "routing/next-step.ts",
    'if (refusal.slot !== situation.slot) return step(situation.runsCode ? "other" : "redirection-foreign");',
    "",
  ]),
  bug("a MOVED re-routes a range", 103, /which never moved, were sent elsewhere/, [
    "topology/topology.ts",
    "owners[slot] = owner + 1;",
    "owners.fill(owner + 1, slot, slot + 4000);",
  ]),
  bug("a call that is sent again loses its deadline", 30, /took .* ms of/, [
    "routing/retries.ts",
    "    call.asking = step.asking;",
    "    call.asking = step.asking;\n    call.list?.remove(call);",
  ]),
  bug(
    "calls that wait for their next attempt are counted in and never out",
    71,
    /failed when all was mended: QUEUE_FULL/,
    ["connection/node-pool.ts", "this.#heldCalls -= calls;", ""],
  ),
  bug(
    "an aborted call gives its place in the line of replies away",
    5,
    /belongs to @|is no pair|is not OK|another key/,
    [
      "connection/connection.ts",
      "const request = this.inFlight.shift();",
      "let request = this.inFlight.shift();\n    while (request?.place === 'settled' && this.inFlight.size > 0) request = this.inFlight.shift();",
    ],
  ),
  bug("a call whose connection was lost is sent again, whatever it does", 39, /ran \d+ times/, [
    "routing/next-step.ts",
    'if (!situation.mayRepeat) return step("lost");',
    "",
  ]),
  bug("nobody notes that a call was written", 2, /ran \d+ times|told as \w+, not-executed/, [
    "connection/connection.ts",
    'request.place = "in-flight";',
    "",
  ]),
  bug("a call that was in flight says that it was not executed", 2, /told as \w+, not-executed/, [
    "routing/call.ts",
    'outcomeOfCall(this.place === "in-flight" ? "unknown" : "not-executed", this.inDoubt)',
    'outcomeOfCall("not-executed", this.inDoubt)',
  ]),
  bug("a call forgets that an earlier attempt may have run", 382, /told as \w+, not-executed/, [
    "routing/dispatcher.ts",
    "history.inDoubt ||= written;",
    "",
  ]),
  bug("every call that met a NOSCRIPT brings a load of its own", 170, /times, \d+ of them needlessly/, [
    "scripts/loaded-scripts.ts",
    "return remedyOf({ state: this.stateOf(script),",
    'if (lane.ready) return { kind: "load" };\n    return remedyOf({ state: this.stateOf(script),',
  ]),
  bug("what was never written is sent again in the reverse order", 37, /was written before call/, [
    "routing/dispatcher.ts",
    "for (const request of requests) {",
    "for (const request of [...requests].reverse()) {",
  ]),
  bug("calls of a slot that waited leave in the reverse order", 185, /was written again before call/, [
    "routing/waiting-room.ts",
    "for (const call of waiting.calls) this.#leave(call);",
    "for (const call of waiting.calls.reverse()) this.#leave(call);",
  ]),
  bug("the connection of a question is left open", 1, /left behind: connection/, [
    "topology/inquiry.ts",
    'for (const connection of this.#temporary) connection.close(new Error("no longer needed"));',
    "",
  ]),
  bug("the timer of the background refresh survives the client", 1, /left behind: a background timer/, [
    "topology/topology-tracker.ts",
    "this.#interval?.cancel();",
    "",
  ]),
  bug("a half-open connection is kept", 6, /half-open for .* ms, and kept/, [
    "connection/lane.ts",
    "onDead: (why) => connection.close(why),",
    "onDead: () => {},",
  ]),
  bug("a command that the server lets wait is no sign of life", 1208420750, /was lost, and nothing was broken/, [
    "connection/standing.ts",
    'if (flags.includes("b")) return { kind: "blocked" };',
    "",
  ]),
  bug("nobody watches while only our own questions are out", 83, /half-open for .* ms, and kept/, [
    "connection/lane.ts",
    "    this.#watchdog?.watch();\n    return this.#connection;",
    "    return this.#connection;",
  ]),
  bug("a call of a batch does not wait for those in front of it", 2, /batch \d+: call \d+ ran before/, [
    "routing/batch-turns.ts",
    "turn.waitsFor = before.calls.length;",
    "turn.waitsFor = 0;",
  ]),
  bug("a group that was refused goes on behind its first call", 44, /batch \d+: call \d+ ran before/, [
    "routing/batch-feed.ts",
    "else if (turn.waitsFor === 0) this.#released.push(call);",
    "else this.#released.push(Object.assign(turn, { waitsFor: 0 }).call);",
  ]),
  bug("a group that was lost is sent again", 835, /ran \d+ times/, [
    "routing/call-group.ts",
    "if (isUnclear || cause instanceof ClosedError || this.#owner.isNext(call)) call.onLost(cause);",
    "if (cause instanceof ClosedError) call.onLost(cause);",
  ]),
  bug("a transaction that was lost is sent again", 494, /ran \d+ times/, [
    "routing/transaction-frame.ts",
    "mayRepeat: false,",
    "mayRepeat: true,",
  ]),
  bug("the bound on pending calls is not looked at", 1, /calls were pending for shard/, [
    "connection/node-pool.ts",
    "if (this.pending >= this.#limits.maxPending) return false;",
    "",
  ]),
  bug("the bound on bytes is not looked at", 153, /bytes wait for/, [
    "connection/node-pool.ts",
    "return waiting === 0 || waiting + bytes <= this.#limits.maxPendingBytes;",
    "return true;",
  ]),
  bug("a stranger at the address proves nothing about an old connection", 1052789282, /failed when all was mended/, [
    "connection/probe.ts",
    "if (error instanceof StrangerError) this.#onStranger(error);",
    "",
  ]),
];
