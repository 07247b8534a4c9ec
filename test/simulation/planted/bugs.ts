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
  /** Only runs with a cache can show it, which are few. */
  readonly isCached?: boolean;
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

const cacheBug: typeof bug = (...args) => ({ ...bug(...args), isCached: true });

const READ_TOO_OLD = /read r\d+ .* was answered .* (ms before, where|which it never was|after the key)/;

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
  bug("a MOVED re-routes a range", 137, /which never moved, were sent elsewhere/, [
    "topology/topology.ts",
    "owners[slot] = this.#placeOf(address) + 1;",
    "owners.fill(this.#placeOf(address) + 1, slot, slot + 4000);",
  ]),
  bug("a call that is sent again loses its deadline", 31, /took .* ms of/, [
    "routing/retries.ts",
    "    call.asking = step.asking;",
    "    call.asking = step.asking;\n    call.moment?.list.remove(call);",
  ]),
  bug(
    "calls that wait for their next attempt are counted in and never out",
    141,
    /failed when all was mended: QUEUE_FULL/,
    ["connection/node-pool.ts", "this.#heldCalls -= calls;", ""],
  ),
  bug(
    "an aborted call gives its place in the line of replies away",
    10,
    /belongs to @|is no pair|is not OK|another key/,
    [
      "connection/connection.ts",
      "const request = this.inFlight.shift();",
      "let request = this.inFlight.shift();\n    while (request?.place === 'settled' && this.inFlight.size > 0) request = this.inFlight.shift();",
    ],
  ),
  bug("a call whose connection was lost is sent again, whatever it does", 88, /ran \d+ times/, [
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
  bug("what was never written is sent again in the reverse order", 42, /was written before call/, [
    "routing/dispatcher.ts",
    "for (const request of requests) {",
    "for (const request of [...requests].reverse()) {",
  ]),
  bug("calls of a slot that waited leave in the reverse order", 57, /was written again before call/, [
    "routing/waiting-room.ts",
    "for (const call of waiting.calls) this.#leave(call);",
    "for (const call of waiting.calls.reverse()) this.#leave(call);",
  ]),
  bug("the connection of a question is left open", 1, /left behind: connection/, [
    "topology/inquiry.ts",
    'for (const connection of this.#temporary) connection.close(new Farewell("not-needed", "no longer needed"));',
    "",
  ]),
  bug("the timer of the background refresh survives the client", 1, /left behind: a background timer/, [
    "topology/topology-tracker.ts",
    "this.#interval?.cancel();",
    "",
  ]),
  bug("a half-open connection is kept", 22, /half-open for .* ms, and kept/, [
    "connection/lane.ts",
    "onDead: (why) => connection.close(why),",
    "onDead: () => {},",
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
  bug("a group that was refused goes on behind its first call", 711, /batch \d+: call \d+ ran before/, [
    "routing/batch-feed.ts",
    "      else if (turn.waitsFor === 0) this.#released.push(call);",
    "      else {\n        turn.waitsFor = 0;\n        this.#released.push(call);\n      }",
  ]),
  bug("a group that was lost is sent again", 483, /ran \d+ times/, [
    "routing/call-group.ts",
    'if (decision !== "takes-its-turn") call.onLost(cause);',
    "if (cause instanceof ClosedError) call.onLost(cause);",
  ]),
  bug("a transaction that was lost is sent again", 1027, /ran \d+ times/, [
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

  // Who a node is, and whom to believe.
  bug("nobody asks who answers at an address", 3, /was written to a stranger/, [
    "connection/handshake.ts",
    "const asksId = isNodeId(wanted);",
    "const asksId = false;",
  ]),
  bug("the seeds are never asked again", 39, /failed when all was mended/, [
    "client/reach.ts",
    "return this.#doubtedSince !== undefined && this.#clock",
    "return this.#doubtedSince !== undefined && this.#patienceMs < 0 && this.#clock",
  ]),
  bug(
    "a view that lacks nodes is believed at once",
    451,
    /one node alone was wrong/,
    ["topology/view-judgement.ts", 'if (missingIn(description, present).length > 0) return "node-missing";', ""],
    ["topology/view-judgement.ts", 'if (owner !== undefined) return "owner-lost";', ""],
  ),

  // Calls that block, functions of watching transactions, and scans.
  bug("a call that blocks keeps its connection when it is given up", 25, /took an element|came behind one that waits/, [
    "connection/carrier.ts",
    'this.connection.close(new Farewell("given-up", "nobody waits for the reply any more"));',
    "",
  ]),
  bug("the timer of calls that were left behind outlives the client", 744, /left behind: a background timer/, [
    "routing/dispatcher.ts",
    "this.#rerouting.close();",
    "",
  ]),
  bug("nothing is watched", 2, /without watching its key|though its key had changed/, [
    "calls/watched-transaction.ts",
    "await operation.wait(session.watch(this.#keys));",
    "",
  ]),
  bug("a watching session that has written starts over", 1943, /ran \d+ times/, [
    "calls/watch-decisions.ts",
    "if (state.writes > 0) return false;",
    "",
  ]),
  bug("a slot that left a node in the middle of a pass is done", 305, /scan \d+ missed/, [
    "calls/scan-coverage.ts",
    "      this.whole.delete(slot);\n",
    "",
  ]),
  bug("a slot that is on its way is done after one pass", 100, /scan \d+ missed/, [
    "calls/scan-coverage.ts",
    "if (target === undefined) {\n        this.open",
    "if (target !== null) {\n        this.open",
  ]),

  // Stalls, slow networks, and servers that wait.
  bug("what a server has in hand is taken for nothing", 57, /was lost, and nothing was broken/, [
    "connection/standing.ts",
    'if (flags.includes("b")) return { kind: "blocked" };',
    "",
  ]),
  bug("connect does not wait for the scripts", 1, /connected, and .* lacks scripts/, [
    "client/client.ts",
    "    await client.#prepared();\n    await cacheOpened",
    "    await cacheOpened",
  ]),

  // Order, bounds and pace.
  bug("the bound on calls without owner is not looked at", 1166, /for slots without owner/, [
    "routing/unplaced.ts",
    "if (this.#items >= this.#limits.maxPending) return false;",
    "",
  ]),
  bug("the topology is asked for without a pause", 3, /was asked for the topology more than/, [
    "topology/pace.ts",
    "return Math.max(now, this.#begunAt + waitMs * this.#stretch);",
    "return waitMs < 0 ? this.#begunAt * this.#stretch : now;",
  ]),
  bug("a read of a batch goes to a replica, behind a write of its key", 12, /did not see what call/, [
    "routing/batch-feed.ts",
    'if (turn.isBehindWrite && call.kind.readFrom !== "primary") call.kind = atPrimary(call.kind);',
    "",
  ]),
  bug(
    "a stranger at the address proves nothing about an old connection",
    405,
    /failed when all was mended|half-open for/,
    ["connection/probe.ts", "if (error instanceof StrangerError) this.#onStranger(error);", ""],
  ),

  // Subscriptions.
  bug("a slot that has moved is asked for at its old owner again", 12, /still in a gap when all was mended/, [
    "subscriptions/shard-slots.ts",
    "const nodes = owner === undefined ? [] : [owner];\n    for",
    "const nodes = [before ?? (owner as ClusterNode)];\n    for",
  ]),
  bug("nobody hears that a server has ended a sharded channel", 12, /ended by its server .* no gap was told/, [
    "subscriptions/feed.ts",
    "if (ended !== undefined) this.#events.onEnded(ended);",
    "",
  ]),
  bug("a gap ends when the node is asked, not when it confirms", 1146, /outside every gap|before its end was told/, [
    "subscriptions/coverage.ts",
    "loss: this.#gap, at: now }",
    "loss: this.#gap, at: Math.max(...this.#seats.map(({ askedAt }) => askedAt)) }",
  ]),
  bug("channels of two slots are in one SSUBSCRIBE", 177, /channels of two slots were in one SSUBSCRIBE/, [
    "subscriptions/feed-requests.ts",
    "{topic.slot}`;",
    "{topic.slot * 0}`;",
  ]),
  bug("the home is never asked whether it is still there", 136, /was lost outside every gap/, [
    "subscriptions/home.ts",
    "for (const feed of this.feeds.all) feed.prove([]);",
    "",
  ]),
  bug("a topic that was closed is not left at the server", 10, /after some were closed: \d+ connections? for/, [
    "subscriptions/feed.ts",
    "      this.#leaves.add(topic);\n      this.#flushSoon();",
    "      this.#gone(topic);",
  ]),

  // What is told of the client.
  bug(
    "a call is told as written when it is queued",
    8,
    /told wrong: .* (is written on, and was not told as open|was told as written)/,
    [
      "routing/dispatcher.ts",
      "    call.extras?.observer?.onAttempt(call, node.address);\n    lane.push(call);",
      "    call.extras?.observer?.onAttempt(call, node.address);\n    call.extras?.observer?.onWritten({ id: 1 });\n    lane.push(call);",
    ],
  ),
  bug("a call of a group is not told as written", 32, /told wrong: .* of a group was written/, [
    "routing/call-group.ts",
    "for (const call of this.#open) if (!call.settled) call.onWritten(connection);",
    "if (connection === undefined) this.calls[0]?.onWritten(connection);",
  ]),
  bug("a decision is not told", 16, /told wrong: .* is sent again without a decision/, [
    "routing/lessons.ts",
    "call.extras?.observer?.onDecision(() => {",
    'if (step.row !== "moved-known") call.extras?.observer?.onDecision(() => {',
  ]),
  bug("a slot that has moved by the word of a node is not told", 16, /told wrong: slots have other owners/, [
    "client/client.ts",
    "tellTopology(this.telemetry.client, current,",
    'if (how !== "patched") tellTopology(this.telemetry.client, current,',
  ]),
  bug(
    "the topology is told behind what follows from it",
    16,
    /told wrong: (slots have other owners|the nodes are others)/,
    [
      "client/client.ts",
      "tellTopology(this.telemetry.client, current, previous, how",
      "const after = (tell: () => void) => queueMicrotask(tell);\n    after(() => tellTopology(this.telemetry.client, current, previous, how",
    ],
    ["client/client.ts", 'how === "patched" ? "moved" : "refreshed");', 'how === "patched" ? "moved" : "refreshed"));'],
  ),
  bug("the end of a connection is not told", 8, /told wrong: connection \d+ has ended/, [
    "telemetry/connection-trace.ts",
    "if (!disconnectChannel.hasSubscribers) return;",
    'if (reason !== "client-closed") return;',
  ]),
  bug("what a node says of its scripts is not told", 80, /told wrong: .* believed to hold/, [
    "scripts/loaded-scripts.ts",
    "if (this.trace?.isAuditHeard) {\n      const are",
    "if (this.trace === undefined) {\n      const are",
  ]),
  bug("the end of a load is not told", 8, /told wrong: .* believed to hold/, [
    "scripts/loaded-scripts.ts",
    "      told?.(outcome);\n",
    "",
  ]),
  bug(
    "the bytes of a reply are counted with those in front of it",
    8,
    /told wrong: .* was answered by \d+ bytes, told as/,
    ["protocol/decoder.ts", "    this.#counted = offset;\n", ""],
  ),
  bug(
    "a hedge runs a write",
    2,
    /ran \d+ times/,
    ["calls/call-factory.ts", "hedge: script.readOnly ? this.#view.hedge : undefined,", "hedge: this.#view.hedge,"],
    [
      "routing/placement.ts",
      'if (!reads || readFrom === "primary" || target !== undefined) return undefined;',
      "if (!reads || readFrom === 'primary') return this.#directory.ownerOf(slot);",
    ],
  ),
  bug(
    "a node that was unavailable once stays so",
    46,
    /failed when all was mended: UNAVAILABLE/,
    ["connection/node-pool.ts", "if (this.ready) this.isUnavailable = false;", ""],
    ["routing/availability.ts", "if (pool.ready) pool.isUnavailable = false;", "if (pool.ready) return;"],
  ),

  // Replies from memory.
  cacheBug("a reply is kept though its key was invalidated while it was on its way", 174, READ_TOO_OLD, [
    "cache/under-way.ts",
    "for (const miss of named ?? []) if (miss.session === session) miss.isSpoilt = true;",
    "",
  ]),
  cacheBug(
    "the entries of a slot are kept when it leaves",
    16595,
    READ_TOO_OLD,
    ["cache/cache.ts", "else this.#store.dropSlot(session, slot, why);", ""],
    ["cache/cache.ts", 'this.#store.dropSlots(session, hasLeft, "topology");', ""],
  ),
  cacheBug(
    "the answer to a PING counts for the connection that reads",
    105,
    /read r\d+ .* was answered .* ms before, where|half-open for .* ms, and kept/,
    [
      "cache/session.ts",
      "this.proofs.notePing(sent);",
      "{\n            this.proofs.notePing(sent);\n            this.proofs.noteRead(sent);\n          }",
    ],
    ["cache/session.ts", "const connections = [this.#reading, this.#hearing];", "const connections = [this.#hearing];"],
  ),
  cacheBug("a write of the client leaves what was read of its key", 123, /did not see the client's own write/, [
    "cache/store.ts",
    'if (named !== undefined) this.drop(named, "own-write");',
    "",
  ]),
  cacheBug("an error is kept", 107, /which it never was/, [
    "cache/cache.ts",
    "          this.#refuse(miss, text);",
    "          miss.reply = text;\n          taken();",
  ]),
  cacheBug(
    "a reply is kept that came by an ASK",
    35872,
    /read r\d+ .* (was answered .* (ms before, where|which it never was|after the key)|did not see)/,
    [
      "cache/cache.ts",
      "    this.#parts.refuse(first, text);",
      `    const answer = first.onReply.bind(first);
    first.onReply = (reply) => {
      miss.reply = reply;
      if (!miss.session.isOver) this.#keep(miss, reply, freeze(reply));
      answer(reply);
    };
    this.#parts.refuse(first, text);`,
    ],
  ),
  cacheBug(
    "replies are served when the connection that read them is dead",
    43,
    /read r\d+ .* was answered .* (ms before, where|which it never was)|nothing of slot \d+ came from memory/,
    [
      "cache/session.ts",
      'reading.handOver({ onClosed: (cause) => this.fail("connection-lost", cause) });',
      "reading.handOver({ onClosed: () => {} });",
    ],
    [
      "cache/freshness.ts",
      "provenUntil(this.#read, this.#ping, this.#maxStaleness)",
      "provenUntil(this.#ping, this.#ping, this.#maxStaleness)",
    ],
  ),
  cacheBug("an entry outlives the time to live of its key", 82, READ_TOO_OLD, [
    "cache/cache.ts",
    "endOf(sent as number, ttlMs, limitMs)",
    "endOf(sent as number, ttlMs > 0 ? limitMs : ttlMs, limitMs)",
  ]),
  cacheBug("the time for which the machine was suspended is not counted", 800000303, READ_TOO_OLD, [
    "cache/freshness.ts",
    "if (shift > 0) this.#missed += shift;",
    "",
  ]),
  bug("a read leaves the zone that it names", 26, /of \S+ in zone ., where zone . can serve/, [
    "routing/placement.ts",
    "const near = countIn(zone, owner, replicas);",
    "const near = zone === '' ? countIn(zone, owner, replicas) : 0;",
  ]),
];
