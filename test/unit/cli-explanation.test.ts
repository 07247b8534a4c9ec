import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawExplanation } from "../../src/cli/draw-explanation.ts";
import { columnsOf, hanging, wrapped, wrappedParts } from "../../src/cli/draw-text.ts";
import { explanationPage } from "../../src/cli/explain-html.ts";
import { type Bytes, type Explained, explanationOf, type Facts, slotWord } from "../../src/cli/explanation.ts";
import type { ServerState, StudyEvent } from "../../src/cli/study/events.ts";
import { placeOfRow, tableRows } from "../../src/cli/study/table-rows.ts";
import { COLOURS, PLAIN } from "../../src/cli/terminal.ts";
import { foldedSteps, storyOf } from "../../src/cli/web/page/call-story.js";
import { sentenceOf } from "../../src/cli/web/page/sentences.js";
import { ROWS } from "../../src/routing/next-step-rows.ts";
import { RecordWriter } from "../support/record.ts";

const [A, B, C] = ["10.0.0.1:7000", "10.0.0.1:7001", "10.0.0.1:7002"] as const;
const SLOT = 10_778;
const SHA = "a".repeat(40);

const server = (address: string, name: string, more: Partial<ServerState> = {}): ServerState => ({
  address,
  name,
  id: `id of ${name}`,
  role: "primary",
  primary: null,
  error: null,
  health: "online",
  state: "ok",
  currentEpoch: 3,
  configEpoch: 1,
  slots: [],
  open: [],
  suspects: {},
  disagrees: [],
  unknown: [],
  meeting: [],
  keys: 0,
  scripts: { [SHA]: false },
  ...more,
});
const servers = [
  server(A, "A", { slots: [{ start: 0, end: 5460 }] }),
  server(B, "B", { slots: [{ start: 5461, end: 10_922 }] }),
  server(C, "C", { slots: [{ start: 10_923, end: 16_383 }], scripts: { [SHA]: true } }),
];

const facts: Facts = {
  command: null,
  script: { name: "acquire", sha: SHA, bytes: 312 },
  keys: ["{user:1}:lock"],
  slot: SLOT,
  spread: null,
  belief: { from: null, preloaded: false },
  owner: B,
  replicas: [],
  ownerAfter: B,
  before: servers,
  after: servers,
  reply: "OK",
  error: null,
  outcome: "executed",
  total: 12.5,
  maxRedirections: 16,
};
const failure = (code: string, message: string, cause: string | null = null) => ({
  reply: null,
  error: { code, message, cause },
});

const detail = { why: false, bytes: false, rows: tableRows(), placeOf: placeOfRow };
const explain = (record: RecordWriter, more: Partial<Facts> = {}, bytes: Bytes = "none") =>
  explanationOf(record.events, { ...facts, ...more }, bytes);
const drawn = (explained: Explained, width = 80, more: Partial<typeof detail> = {}) =>
  drawExplanation(explained, width, PLAIN, { ...detail, ...more });
const page = (explained: Explained, hasArguments = false) =>
  explanationPage(explained, { rows: tableRows(), placeOf: placeOfRow, hasArguments });

const evalsha = { command: "EVALSHA", bytes: 101 };
const script = { name: "acquire", sha: SHA };
const movedAndMissing = () =>
  new RecordWriter()
    .call(1, SLOT, "EVALSHA", script)
    .sent(1, 1, C, { ...evalsha, loadBytes: 345 })
    .answered(1, 1, C, "MOVED", `MOVED ${SLOT} ${B}`)
    .decided(1, 1, C, "moved-known", {
      ...{ failure: "MOVED", to: { kind: "named", address: B }, when: "now", backoffMs: null },
      ...{ spends: "redirection", learned: "slot-moved", redirections: 1, retries: 0 },
    })
    .add("topology", {
      ...{ reason: "moved", nodes: [], added: [], removed: [], promoted: [] },
      moved: [{ start: SLOT, end: SLOT, from: C, to: B }],
    })
    .sent(1, 2, B, evalsha)
    .answered(1, 2, B, "NOSCRIPT", "NOSCRIPT No matching script.")
    .decided(1, 2, B, "noscript-load", {
      ...{ failure: "NOSCRIPT", to: { kind: "same-node", address: B }, when: "now", backoffMs: null },
      ...{ learned: "script-missing", remedy: "load", redirections: 1, retries: 1 },
    })
    .sent(1, 3, B, { ...evalsha, loadBytes: 345 })
    .answered(1, 3, B, "reply")
    .settled(1, 3);
const refusals = (count: number) => {
  const record = new RecordWriter().call(1, SLOT);
  for (let attempt = 1; attempt <= count; attempt++) {
    record.sent(1, attempt, B).answered(1, attempt, B, "CLUSTERDOWN", "CLUSTERDOWN The cluster is down");
    record.decided(1, attempt, B, "clusterdown", { backoffMs: attempt, learned: "topology-stale" }).wait(attempt);
  }
  return record.settled(1, count, "DEADLINE", "not-executed");
};

/** The text without the places where its lines were broken. */
const flat = (text: string) => text.replace(/\s+/g, " ");

describe("the drawing of a call", () => {
  it("shows every hop with its row and its reason, beliefs and what the servers say", () => {
    const explained = explain(movedAndMissing(), {
      belief: { from: C, preloaded: false },
      reply: ["OK\n\x1b[2J", 5, null, ["ü"]],
    });
    assert.equal(
      drawn(explained).join("\n"),
      `
script    acquire, 312 bytes, SHA-1 ${SHA}
key       {user:1}:lock
           ^^^^^^  CRC16 27162, modulo 16384: slot 10778
begins at C 10.0.0.1:7002, knows the script
          which the client was made to take for the owner
really    B 10.0.0.1:7001, does not know the script, which says that the slot is
          its own

  2.00 ms  1 → C 10.0.0.1:7002  SCRIPT LOAD (345 bytes), EVALSHA (101 bytes)
  3.00 ms  1 ← MOVED 10778 10.0.0.1:7001
               moved-known: MOVED to a listed node; next: B, at once; spends
               redirection 1 of 16; learned: the slot's new owner
  5.00 ms    · The slot map changes by the word of a node: slot 10778 is B's.
  7.00 ms  2 → B 10.0.0.1:7001  EVALSHA (101 bytes)
  8.00 ms  2 ← NOSCRIPT No matching script.
               noscript-load: NOSCRIPT: SCRIPT LOAD goes in front; next: B, at
               once, behind SCRIPT LOAD; spends retry 1; learned: the node lost
               the script, so all nodes are asked which scripts they have
 11.00 ms  3 → B 10.0.0.1:7001  SCRIPT LOAD (345 bytes), EVALSHA (101 bytes)
 12.00 ms  3 ← ["OK\\n\\u001b[2J", 5, null, ["ü"]]

Reply, executed: 3 attempts, 1 redirection, 1 retry, 12.50 ms
Slot map: slot 10778 is at B 10.0.0.1:7001, no longer at C 10.0.0.1:7002.
`.slice(1, -1),
    );
  });

  it("says of no slot that it has changed, where only other things about nodes have", () => {
    const nothing = { moved: [], added: [], removed: [], promoted: [], nodes: [] };
    const { events } = new RecordWriter().add("topology", { reason: "refreshed", ...nothing } as never);
    const step = { type: "beside", event: events.at(-1), time: 0 } as unknown as Parameters<typeof sentenceOf>[0];
    const telling = { names: {}, call: null } as unknown as Parameters<typeof sentenceOf>[1];
    assert.equal(
      sentenceOf(step, telling),
      "The client learns more of the nodes by a refresh. Every slot has the owner that it had.",
    );
  });

  it("keeps within any width, and leaves nothing out", () => {
    const long = `ERR ${"a long text of a server ".repeat(12)}end`;
    const key = `{${"k".repeat(90)}}x`;
    const cases = [
      explain(movedAndMissing(), { keys: [key] }),
      explain(refusals(72), { ...failure("DEADLINE", long, "its own cause"), outcome: "not-executed" }),
    ];
    for (const explained of cases) {
      for (const width of [40, 80, 120]) {
        for (const paint of [PLAIN, COLOURS]) {
          const all = { ...detail, why: true, bytes: true };
          const lines = drawExplanation(explained, width, paint, all);
          for (const line of lines) assert.ok(columnsOf(line) <= width, `${width}: ${line}`);
          const text = lines.join("\n");
          assert.ok(!text.includes("…"), text);
        }
      }
    }
    const unbroken = (lines: string[]) => lines.join("").replace(/\s+/g, "");
    assert.ok(unbroken(drawn(cases[0] as Explained, 40)).includes("k".repeat(30)));
    assert.equal(unbroken(drawn(cases[0] as Explained, 40)).split("^").length - 1, 90, "a caret for each character");
    const end = unbroken(drawn(cases[1] as Explained, 40));
    for (const part of [long, "its own cause", "DEADLINE, not-executed"])
      assert.ok(end.includes(part.replace(/\s+/g, "")), part);
  });

  it("folds refusals: the first three, how many more, the last", () => {
    const explained = explain(refusals(72), { ...failure("DEADLINE", "late"), outcome: "not-executed" });
    const text = drawn(explained).join("\n");
    assert.deepEqual(
      [...text.matchAll(/(\d+) ← CLUSTERDOWN/g)].map(([, attempt]) => attempt),
      ["1", "2", "3", "72"],
    );
    assert.match(
      flat(text),
      /\.\.\. 68 more attempts at B failed until \d+ ms: 68 × CLUSTERDOWN\. Rules: 68 × clusterdown\. Pauses of 4\.00 ms to 71\.00 ms\./,
    );
    assert.match(text, /\nDEADLINE, not-executed: 72 attempts, 72 retries, 12\.50 ms\n {2}late\n?/);
    assert.equal(explained.hops.length, 72, "JSON has all");
    assert.equal(
      (
        drawn(explain(refusals(5)))
          .join("\n")
          .match(/← CLUSTERDOWN/g) ?? []
      ).length,
      5,
      "one is not folded",
    );
    assert.equal(
      (
        drawn(explain(refusals(6)))
          .join("\n")
          .match(/← CLUSTERDOWN/g) ?? []
      ).length,
      4,
    );
  });

  it("shows the last refusal, also where the time was up before the next attempt was written", () => {
    const record = new RecordWriter().call(1, SLOT);
    for (let attempt = 1; attempt <= 9; attempt++) {
      record.sent(1, attempt, B).answered(1, attempt, B, "CLUSTERDOWN", "CLUSTERDOWN The cluster is down");
      record.decided(1, attempt, B, "clusterdown", { backoffMs: attempt });
    }
    const explained = explain(
      record.queued(1, 10, B).wait(3).settled(1, 10, "DEADLINE", "not-executed"),
      failure("DEADLINE", "late"),
    );
    const text = drawn(explained).join("\n");
    assert.deepEqual(
      [...text.matchAll(/(\d+) ← CLUSTERDOWN/g)].map(([, attempt]) => attempt),
      ["1", "2", "3", "9"],
    );
    assert.ok(text.includes("... 5 more attempts") && / 10 waited .*never\s+written/.test(text), text);
  });

  it("tells attempts that were never written as waits", () => {
    const record = new RecordWriter().call(1, SLOT);
    for (let attempt = 1; attempt <= 17; attempt++) record.queued(1, attempt, B).wait(9);
    record.wait(1).settled(1, 17, "UNAVAILABLE", "not-executed");
    const explained = explain(record, { ...failure("UNAVAILABLE", "gone"), outcome: "not-executed" });
    const text = drawn(explained).join("\n");
    assert.ok(!text.includes("→"), text);
    assert.match(text, / 1 waited 10\.00 ms for a connection to B 10\.0\.0\.1:7001, never\s+written\n/);
    assert.match(text, /13 more attempts at B failed until .*, none of them\s+written: 13 × no connection\./);
    assert.match(text, / 17 × UNAVAILABLE, not-executed\n/);
    assert.match(text, /\nUNAVAILABLE, not-executed: 17 attempts, none of them written, /);
    assert.deepEqual([explained.end.attempts, explained.end.written], [17, 0]);
  });

  it("tells an attempt that was in flight when the time was up", () => {
    const record = new RecordWriter().call(1, SLOT).sent(1, 1, B).wait(50).settled(1, 1, "DEADLINE", "unknown");
    const text = drawn(explain(record, { ...failure("DEADLINE", "late"), outcome: "unknown" })).join("\n");
    assert.match(text, / 1 → B [^\n]*\n[^\n]* 1 × no answer: DEADLINE, unknown\n\nDEADLINE, unknown: 1 attempt, /);
  });

  it("tells a connection that was lost, and a decision about no node", () => {
    const record = new RecordWriter()
      .call(1, SLOT)
      .decided(1, 0, null, "no-node-yet", { failure: "no-node", spends: "nothing", retries: 0 })
      .sent(1, 1, B)
      .decided(1, 1, B, "lost", {
        ...{ failure: "LOST", verdict: "reject", to: null, when: null, backoffMs: null, spends: null },
        ...{ outcome: "unknown", learned: "topology-stale" },
      })
      .settled(1, 1, "CONNECTION_LOST", "unknown");
    const explained = explain(record, { ...failure("CONNECTION_LOST", "lost"), outcome: "unknown" });
    const text = drawn(explained).join("\n");
    assert.match(
      flat(text),
      /no-node-yet: no node is known that may serve the call; next: the slot's owner, after a pause of 5\.00 ms; spends nothing/,
    );
    assert.match(
      text,
      / 1 ← the connection was lost\n\s+lost: the connection was lost, and the call may have run; the\s+call is given up: nobody knows whether it ran/,
    );
    assert.equal(explained.hops[0]?.answer?.kind, "LOST");
  });

  it("says what each decision was given, and where its rule stands, with --why", () => {
    const text = drawn(explain(movedAndMissing()), 200, { why: true }).join("\n");
    assert.ok(text.includes("given: MOVED, slot 10778, script acquire, redirections 0 of 16, retries 0"), text);
    assert.ok(
      text.includes("given: NOSCRIPT, slot 10778, script acquire, remedy load, redirections 1 of 16, retries 0"),
      text,
    );
    const line = placeOfRow("moved-known");
    assert.match(line, /^src\/routing\/next-step-rows\.ts:\d+$/);
    assert.ok(text.includes(`rule: ${line}`), text);
    for (const row of Object.keys(ROWS)) assert.match(placeOfRow(row), /:\d+$/, row);
    assert.equal(new Set(Object.keys(ROWS).map(placeOfRow)).size, Object.keys(ROWS).length);
  });

  it("does without script, keys and owner", () => {
    const record = () => new RecordWriter().call(1, -1, "PING").sent(1, 1, A).answered(1, 1, A, "reply").settled(1, 1);
    const keyless = { command: "PING", script: null, keys: [], slot: null, owner: null, ownerAfter: null } as const;
    assert.deepEqual(drawn(explain(record(), keyless)).slice(0, 3), [
      "command   PING",
      "no key    any primary can serve the call",
      "",
    ]);
    for (const [spread, line] of [
      ["primaries", "no slot   the call goes to all primaries"],
      ["all", "no slot   the call goes to all nodes"],
      ["slots", "slots     several: the call is sent in parts, each to the owner of its slot"],
    ] as const) {
      assert.equal(drawn(explain(record(), { ...keyless, spread }))[1], line);
    }
    const load = explain(new RecordWriter(), { ...keyless, command: "SCRIPT", spread: "all", reply: "abc" });
    assert.deepEqual(drawn(load).slice(3), [' 12.50 ms  ← "abc"', "", "Reply, executed: 0 attempts, 12.50 ms"]);
    const nobody = drawn(explain(record(), { owner: null, ownerAfter: null, before: [], after: [] }));
    assert.ok(nobody.includes("owner     the client knows no owner of slot 10778"), nobody.join("\n"));
  });
});

describe("each node's reply", () => {
  const parts = () => {
    const record = new RecordWriter().call(1, 100).call(2, 200);
    for (const [call, address, reply] of [
      [1, A, "$3\r\none\r\n"],
      [2, B, "-ERR no\r\n"],
    ] as const) {
      record.sent(call, 1, address);
      record.add("bytes", { ...bytesOf(call, address), direction: "received", text: reply, length: reply.length });
      record.answered(call, 1, address, reply.startsWith("-") ? "error" : "reply").settled(call, 1);
    }
    return record;
  };
  const bytesOf = (call: number, address: string) => ({ connection: 7, address, call, attempt: 1 }) as const;
  const spread = { command: "MGET", script: null, slot: null, spread: "slots" } as const;

  it("is told for a command that goes to many", () => {
    const explained = explain(parts(), { ...spread, reply: ["one", null] });
    assert.deepEqual(explained.replies, [
      { call: 1, address: A, slot: 100, reply: "one", error: null },
      { call: 2, address: B, slot: 200, reply: null, error: "ERR no" },
    ]);
    const text = drawn(explained).join("\n");
    assert.match(text, / 1 ← A: "one"\n/);
    assert.match(text, / 1 ← B: ERR no\n/);
    assert.match(text, /\n {2}together: \["one", null\]$/);
    assert.deepEqual(explained.hops[0]?.received, [], "bytes are left out");
  });
});

describe("the servers' word about a slot", () => {
  it("names the owner, who disagrees, what is half-way, and who is silent", () => {
    const word = slotWord(
      [
        server(A, "A", {
          slots: [{ start: 5, end: 5 }],
          configEpoch: 4,
          open: [{ slot: 5, kind: "migrating", peer: "B" }],
        }),
        server(B, "B", {
          slots: [{ start: 0, end: 9 }],
          configEpoch: 2,
          disagrees: [{ slots: { start: 5, end: 5 }, says: "B", is: "A" }],
        }),
        server(C, "C", { role: null, error: "no answer", state: null }),
      ],
      5,
    );
    assert.deepEqual(word, {
      owner: A,
      claims: [A, B],
      open: [{ address: A, kind: "migrating", peer: "B" }],
      others: { [B]: B },
      down: [],
      silent: { [C]: "no answer" },
    });
    const explained = explain(movedAndMissing(), { owner: C });
    assert.deepEqual([explained.owner, explained.said.before?.owner], [C, B]);
    const differs = drawn(explained).join("\n");
    assert.match(
      differs,
      /owner {5}C 10\.0\.0\.1:7002, as the client believes, knows the script\nreally {4}B 10\.0\.0\.1:7001/,
    );
  });
});

describe("the page of a call", () => {
  it("is self-contained, has no script and stays below 100 KB, whatever the call", () => {
    const many = () => {
      const record = new RecordWriter();
      for (let call = 1; call <= 400; call++) {
        const address = `10.0.0.1:${7000 + call}`;
        record.call(call, call).sent(call, 1, address).answered(call, 1, address, "reply").settled(call, 1);
      }
      return record;
    };
    const heavy = new RecordWriter().call(1, SLOT).sent(1, 1, B);
    const text = `*2\r\n$3\r\nGET\r\n$300000\r\n${"x".repeat(200_000)}`;
    heavy.add("bytes", {
      connection: 7,
      address: B,
      call: 1,
      attempt: 1,
      direction: "sent",
      text,
      length: text.length,
    });
    heavy.answered(1, 1, B, "reply").settled(1, 1);
    for (const explained of [
      explain(movedAndMissing(), {}, "redacted"),
      explain(refusals(900), { ...failure("DEADLINE", "late"), outcome: "not-executed" }),
      explain(many(), { command: "DBSIZE", script: null, slot: null, spread: "primaries", reply: "y".repeat(500_000) }),
      explain(heavy, {}, "all"),
    ]) {
      const html = page(explained);
      assert.ok(html.length < 100_000, `${html.length} bytes`);
      assert.doesNotMatch(html, /<script|<link|<img|@import|url\(|https?:/);
      assert.match(html, /default-src 'none'/);
    }
  });

  it("stays below 100 KB whatever stands in keys, replies, errors and bytes, and tells what is left out", () => {
    // Each of these is several times as long in the page.
    const evil = "<\u202e".repeat(6_000);
    const address = (call: number) => `10.0.0.1:${7000 + (call % 3)}`;
    const parts = (kind: string) => {
      const record = new RecordWriter();
      for (let call = 1; call <= 100; call++) {
        const sides = { connection: 7, address: address(call), call, attempt: 1 };
        record.call(call, call).sent(call, 1, address(call), { command: "MGET" });
        for (const [direction, text] of [
          ["sent", `*2\r\n$4\r\nMGET\r\n$2500\r\n${"<".repeat(2500)}\r\n`],
          ["received", `${kind === "reply" ? "*1\r\n$2500\r\n" : "-ERR "}${"\0".repeat(2500)}\r\n`],
        ] as const) {
          record.add("bytes", { ...sides, direction, text, length: text.length });
        }
        record.answered(call, 1, address(call), kind).settled(call, 1);
      }
      return record;
    };
    const spread = { command: "MGET", script: null, slot: null, spread: "slots" as const };
    const lost = new RecordWriter().call(1, SLOT, evil).sent(1, 1, B, { command: evil });
    lost.answered(1, 1, B, "error", evil).decided(1, 1, B, "rejected", { verdict: "reject", outcome: "executed" });
    for (const [name, explained] of Object.entries({
      key: explain(movedAndMissing(), { keys: [evil] }, "all"),
      tag: explain(movedAndMissing(), { keys: [`${evil}{${evil}}${evil}`] }, "all"),
      keys: explain(movedAndMissing(), { keys: Array.from({ length: 500 }, (_, index) => `${index}${evil}`) }, "all"),
      name: explain(movedAndMissing(), { script: { name: evil, sha: SHA, bytes: 1 } }),
      command: explain(lost.settled(1, 1, "REPLY", "executed"), {
        command: evil,
        script: null,
        ...failure("REPLY", evil, evil),
      }),
      replies: explain(parts("reply"), { ...spread, reply: Array(100).fill(evil) }, "all"),
      errors: explain(parts("error"), { ...spread, ...failure("REPLY", evil) }, "all"),
      nodes: explain(movedAndMissing(), { replicas: Array.from({ length: 3000 }, (_, index) => `10.0.0.1:${index}`) }),
    })) {
      const html = page(explained, true);
      assert.ok(Buffer.byteLength(html) < 100_000, `${name}: ${Buffer.byteLength(html)} bytes`);
      assert.match(html, /\d more|left out/, name);
      assert.ok(html.endsWith("</main></body></html>\n"), name);
    }
  });

  it("lights the rows that decided, and tells each step in a sentence", () => {
    const html = page(explain(movedAndMissing()));
    const lit = [...html.matchAll(/<tr class="lit"[^>]*><th scope="row">([\w-]+)</g)].map(([, row]) => row);
    assert.deepEqual([...new Set(lit)].sort(), ["moved-known", "noscript-load"]);
    assert.equal([...html.matchAll(/<tr[^>]*><th scope="row">/g)].length, Object.keys(ROWS).length + 2);
    const { story } = explain(movedAndMissing());
    assert.equal([...html.matchAll(/<li><span class="t">/g)].length, foldedSteps(story).length + 2);
    assert.equal([...html.matchAll(/<svg /g)].length, 2);
  });

  it("escapes whatever comes from outside", () => {
    const evil = '<img src=x onerror="alert(1)">\x1b[2J';
    const record = new RecordWriter().call(1, SLOT).sent(1, 1, evil).answered(1, 1, evil, "MOVED", `MOVED 1 ${evil}`);
    record.settled(1, 1);
    const more = { keys: [evil], reply: evil, script: { name: evil, sha: SHA, bytes: 1 }, before: [], after: [] };
    for (const given of [more, { ...more, ...failure(evil, evil, evil), outcome: "unknown" as const }]) {
      const html = page(explain(record, given));
      assert.ok(!html.includes("<img") && !html.includes("\x1b"), html);
    }
  });
});

describe("the sentence of a refusal", () => {
  it("names the nodes as they are, whatever they are called", () => {
    const [from, to] = ["NODE-TO:7000", "TO.NODE:7001"];
    const { story } = explain(
      new RecordWriter().call(1, 5).sent(1, 1, from).answered(1, 1, from, "MOVED", `MOVED 5 ${to}`),
    );
    const step = story.steps.find(({ type }) => type === "answered") as (typeof story.steps)[number];
    assert.equal(
      sentenceOf(step, { names: {}, rows: [] }),
      "NODE-TO:7000 answers MOVED: the slot belongs to TO.NODE:7001 for good. Nothing ran.",
    );
  });
});

describe("the story of a record", () => {
  it("has two hops of a hedged call, side by side", () => {
    const record = new RecordWriter().call(1, 5).queued(1, 1, A).queued(1, 2, B, { hedge: true });
    for (const [attempt, address] of [A, B].entries()) {
      record.add("written", { call: 1, attempt: attempt + 1, address, connection: 7, waitedMs: 0 });
    }
    record.answered(1, 2, B, "reply").settled(1, 2);
    const { steps, hops } = storyOf(record.events as StudyEvent[]);
    assert.deepEqual(
      steps.map(({ type }) => type),
      ["sent", "sent", "answered", "ended"],
    );
    assert.deepEqual(
      hops.map(({ address, answer }) => [address, answer?.kind]),
      [
        [A, undefined],
        [B, "reply"],
      ],
    );
    const said = steps.map((step) => sentenceOf(step, { names: { [B]: "B" }, rows: [] }));
    assert.match(said[1] ?? "", /^Attempt 2: .* to \[B\], while attempt 1 goes on: it has had no answer for long\.$/);
  });

  it("leaves other calls out, and has times since the call began", () => {
    const record = new RecordWriter()
      .call(1, 5)
      .sent(1, 1, A)
      .wait(50)
      .call(2, 6)
      .sent(2, 1, B)
      .answered(2, 1, B, "reply");
    record.settled(2, 1).answered(1, 1, A, "reply").settled(1, 1);
    const story = storyOf(record.events as StudyEvent[], (call) => call === 2);
    assert.deepEqual(
      story.hops.map(({ call, at, writtenAt, address }) => [call, at, writtenAt, address]),
      [[2, 1, 2, B]],
    );
    assert.deepEqual(
      story.ends.map(({ call, at, attempts, written }) => [call, at, attempts, written]),
      [[2, 4, 1, 1]],
    );
  });

  it("reads the host of a MOVED that has none as the host that answered", () => {
    for (const [text, to] of [
      [`MOVED 5 ${B}`, B],
      ["MOVED 5 :7009", "10.0.0.1:7009"],
      ["MOVED 5 ?:7009", "10.0.0.1:7009"],
      ["MOVED 5 ::1:7009", "::1:7009"],
    ] as const) {
      const record = new RecordWriter().call(1, 5).sent(1, 1, A).answered(1, 1, A, "MOVED", text);
      assert.equal(storyOf(record.events).hops[0]?.answer?.to, to, text);
    }
  });
});

describe("wrapping", () => {
  it("breaks behind spaces, and long words anywhere", () => {
    assert.deepEqual(wrapped("one two three", 9, hanging("> ")), ["> one two", "  three"]);
    assert.deepEqual(wrapped("abcdefghij kl", 6, hanging("- ")), ["- abcd", "  efgh", "  ij", "  kl"]);
    assert.deepEqual(wrapped("", 6), []);
    assert.deepEqual(wrapped(COLOURS.alarm("red word"), 5), ["\x1b[31mred", "word\x1b[39m"]);
    assert.deepEqual(wrappedParts(["$3\\r\\n", "abc\\r\\n", "x"], 8, hanging("")), ["$3\\r\\n", "abc\\r\\nx"]);
  });
});
