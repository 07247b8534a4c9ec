import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServerState, StudyEvent, StudyScript } from "../../src/cli/study/events.ts";
import { changesBetween } from "../../src/cli/web/page/compare-servers.js";
import { drawNodes, healthOf } from "../../src/cli/web/page/draw-cluster.js";
import { drawKey } from "../../src/cli/web/page/draw-key.js";
import { drawLessons, freshLesson } from "../../src/cli/web/page/draw-lesson.js";
import { drawScripts } from "../../src/cli/web/page/draw-scripts.js";
import { slotMarks, slotPixels, slotText, slotView } from "../../src/cli/web/page/draw-slots.js";
import { drawTimeline } from "../../src/cli/web/page/draw-timeline.js";
import { LESSONS } from "../../src/cli/web/page/lessons.js";
import { hueOf, shardOf, textureOf } from "../../src/cli/web/page/palette.js";
import {
  add,
  emptyRecord,
  MOST_CALLS,
  MOST_COUNTS,
  MOST_EVENTS,
  MOST_LOOKS,
  serversAt,
} from "../../src/cli/web/page/record.js";
import { slotOfKey } from "../../src/cli/web/page/slots.js";
import { emptyTimeline, MOST_ENTRIES, tell } from "../../src/cli/web/page/timeline.js";
import { hashTagOf, slotOf } from "../../src/protocol/hash-slot.ts";
import { addressOf, HandMadeRecord, SCRIPTS, SILENT, server, servers } from "../support/page-record.ts";

const HUES = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 0],
  [0, 255, 255],
  [255, 0, 255],
  [128, 0, 0],
  [0, 128, 0],
] as const;
const [ACQUIRE, RENEW] = SCRIPTS as readonly [StudyScript, StudyScript];
const COLOURS = { hues: HUES, paper: [255, 255, 255], none: [9, 9, 9] } as const;
const HALF: Record<string, Partial<ServerState>> = {
  A: { open: [{ slot: 12182, kind: "importing", peer: "C" }], keysBySlot: { 12182: 3 } },
  B: { keysBySlot: {} },
  C: { open: [{ slot: 12182, kind: "migrating", peer: "A" }], keysBySlot: { 12182: 4, 16383: 9 } },
};

describe("the slot of a key, on the page", () => {
  it("is the one that calls use, for keys with and without hash tags", () => {
    for (const key of ["", "k", "{job:1}:lock", "{}x", "{", "}{", "a{b}{c}", "{{a}}", "\u{1f600}", "é{ü}", "a{b"]) {
      const found = slotOfKey(key);
      assert.equal(found.slot, slotOf(key), JSON.stringify(key));
      assert.equal(found.isTagged, hashTagOf(key) !== undefined, JSON.stringify(key));
    }
    assert.equal(slotOfKey("{job:1}:lock").crc, 60265);
  });

  it("is explained: the hashed part, the CRC16, the slot and its owner, without markup from the key", () => {
    const drawn = drawKey(slotOfKey("{job:1}:<b>"), servers(), slotView(servers()), "C");
    assert.match(drawn, /\{<u>job:1<\/u>\}:&#60;b&#62;/);
    assert.match(
      drawn,
      /CRC16 60265, modulo 16,384 = slot <b>11113<\/b>, by its hash tag, served by <b class="chip n2 x0">C/,
    );
    assert.match(
      drawKey(slotOfKey("{job:1}"), servers({ C: { slots: [] } }), slotView(servers({ C: { slots: [] } })), null),
      /served by nobody/,
    );
  });
});

describe("the slot map", () => {
  const pixel = (pixels: Uint8ClampedArray, slot: number) => [...pixels.slice(slot * 4, slot * 4 + 3)];

  it("has the hue of the owner, stronger where there are keys", () => {
    const pixels = slotPixels(slotView(servers(HALF)), COLOURS);
    assert.equal(pixels.length, 16384 * 4);
    const [red, green, blue] = pixel(pixels, 0) as [number, number, number];
    assert.ok(red === 255 && green === blue && green > 128, "A's empty slots are pale red");
    const strong = pixel(pixels, 16383) as [number, number, number];
    const weak = pixel(pixels, 16382) as [number, number, number];
    assert.ok(strong[2] === 255 && strong[0] < weak[0], "C's slot with nine keys is stronger than its empty one");
  });

  it("marks slots without an owner, and gives a slot that two nodes claim to the later epoch", () => {
    const view = slotView(servers({ B: { slots: [] }, A: { slots: [{ start: 0, end: 11000 }], configEpoch: 0 } }));
    assert.equal(view.owners[6000], "A");
    assert.equal(view.owners[10950], "C");
    const lost = slotView(servers({ B: SILENT }));
    assert.equal(lost.owners[6000], null);
    assert.deepEqual(pixel(slotPixels(lost, COLOURS), 6000), [9, 9, 9]);
  });

  it("shows a half-moved slot once, with both nodes and the keys that each has", () => {
    const view = slotView(servers(HALF));
    assert.deepEqual(view.open, [{ slot: 12182, from: "C", to: "A", keysFrom: 4, keysTo: 3 }]);
    const { open, ring, names } = slotMarks(view, 11113);
    assert.deepEqual(open, [{ slot: 12182, from: 2, to: 0, x: (12182 % 128) + 0.5, y: Math.floor(12182 / 128) + 0.5 }]);
    assert.deepEqual(ring, { slot: 11113, x: (11113 % 128) + 0.5, y: Math.floor(11113 / 128) + 0.5 });
    assert.deepEqual(
      names.map(({ name }) => name),
      ["A", "B", "C"],
    );
    assert.equal(slotText(view, 12182), "slot 12182: half-way from C to A, 7 keys");
    assert.match(drawNodes(servers(HALF), view), /slot <b>12182<\/b> is half-way .*: 3 of 7 keys there/);
  });

  it("tells a hundred primaries apart by hue and texture as long as it can, and by name always", () => {
    assert.deepEqual(["A", "B", "Z", "AA", "CV", "B12"].map(shardOf), [0, 1, 25, 26, 99, 1]);
    const name = (shard: number) =>
      (shard < 26 ? "" : String.fromCharCode(64 + Math.floor(shard / 26))) + String.fromCharCode(65 + (shard % 26));
    const looks = Array.from({ length: 32 }, (_, shard) => `${hueOf(name(shard))} ${textureOf(name(shard))}`);
    assert.equal(new Set(looks).size, 32);
  });
});

describe("the state of the cluster", () => {
  const said = (nodes: ServerState[]) => healthOf(nodes, slotView(nodes));

  it("is well when all slots are served, and says what is odd beside", () => {
    assert.deepEqual(said(servers()), { isWell: true, text: "all 16,384 slots served", more: [] });
    assert.deepEqual(said(servers(HALF)).more, ["1 slot half-moved"]);
  });

  it("is well when a node is silent whose slots another one serves, and says so beside", () => {
    const replaced = servers({ A: SILENT, B: { slots: [{ start: 0, end: 10_922 }] } });
    assert.deepEqual(healthOf(replaced, slotView(replaced)), {
      isWell: true,
      text: "all 16,384 slots served",
      more: ["A is silent"],
    });
  });

  it("says what is wrong", () => {
    assert.equal(said(servers({ B: SILENT, A: { state: "fail" } })).isWell, false);
    const { text, more } = said(servers({ B: SILENT, A: { state: "fail" }, C: { state: "fail" } }));
    assert.deepEqual([text, ...more], ["5,462 of 16,384 slots not served", "A and C say CLUSTERDOWN", "B is silent"]);
  });
});

describe("the matrix of scripts", () => {
  it("has a dot for what a node knows, a ring for what it lacks, and neither for a silent node", () => {
    const nodes = servers({ A: { scripts: { [ACQUIRE.sha]: true, [RENEW.sha]: false } }, B: SILENT });
    const drawn = drawScripts(nodes, SCRIPTS.slice(0, 2), { [`A ${ACQUIRE.sha}`]: "call 7" });
    const cell = (name: string) => new RegExp(`data-dot="${name}" class="(\\w+)">.*?</td>`).exec(drawn);
    assert.equal(cell("A acquire")?.[1], "known");
    assert.match(cell("A acquire")?.[0] ?? "", /call 7/);
    assert.equal(cell("A renew")?.[1], "missing");
    assert.equal(cell("B acquire")?.[1], "unasked");
  });
});

describe("what the servers say otherwise than before", () => {
  const changes = (before: ServerState[], after: ServerState[]) =>
    changesBetween(
      before,
      slotView(before),
      after,
      slotView(after),
      new Map(SCRIPTS.map((script) => [script.sha, script])),
    );
  const texts = (before: ServerState[], after: ServerState[]) => changes(before, after).map(({ text }) => text);

  it("is nothing when nothing has changed", () => assert.deepEqual(changes(servers(HALF), servers(HALF)), []));

  it("names moves, half-moves and their ends", () => {
    assert.deepEqual(texts(servers(), servers(HALF)), ["slot 12182 is half-way from [C] to [A]"]);
    assert.deepEqual(texts(servers(HALF), servers()), ["slot 12182 is whole again, at [C]"]);
    const moved = servers({
      A: {
        slots: [
          { start: 0, end: 5460 },
          { start: 11113, end: 11113 },
        ],
        configEpoch: 5,
      },
    });
    assert.deepEqual(texts(servers(), moved), ["slot 11113: from [C] to [A]"]);
  });

  it("names scripts that were forgotten and that came back", () => {
    const without = servers(
      Object.fromEntries(
        servers().map(({ name }) => [name, { scripts: Object.fromEntries(SCRIPTS.map(({ sha }) => [sha, false])) }]),
      ),
    );
    assert.deepEqual(texts(servers(), without), [
      "[A], [B], [C], [A1], [B1] and [C1] forgot acquire, renew and release",
    ]);
    assert.deepEqual(texts(without, servers()), ["[A], [B], [C], [A1], [B1] and [C1] got acquire, renew and release"]);
  });

  it("names nodes that join and leave", () => {
    const six = servers();
    assert.deepEqual(texts(six.slice(0, 5), six), [`[C1] joins, at ${addressOf("C1")}`]);
    assert.deepEqual(texts(six, six.slice(0, 5)), ["[C1] is no longer in the cluster"]);
    assert.deepEqual(texts(six, [...six, server("D", { address: "127.0.0.1:7006" })]), [
      "[D] joins, at 127.0.0.1:7006",
    ]);
  });
});

describe("the timeline", () => {
  function told(events: readonly StudyEvent[]) {
    const record = emptyRecord();
    const timeline = emptyTimeline();
    for (const event of events) {
      add(record, event);
      tell(timeline, record, event);
    }
    return { record, timeline, texts: timeline.entries.map(({ who, text }) => `${who}: ${text}`) };
  }

  it("counts calls that were answered at once, and tells the hops of the others", () => {
    const log = new HandMadeRecord().note({ type: "servers", nodes: servers() });
    for (let call = 0; call < 5; call++) log.call(11113, [], "C");
    log.call(
      11113,
      [
        ["C", "MOVED", "A"],
        ["A", "NOSCRIPT", "A"],
      ],
      "A",
    );
    const { timeline, texts } = told(log.events);
    assert.equal(timeline.entries.length, 3);
    assert.equal(timeline.entries[1]?.more, 4);
    assert.match(
      texts[2] ?? "",
      /^call 6: release, slot 11113: \[C\] MOVED, \[A\] NOSCRIPT, \[A\] reply, \d\.\d\d ms$/,
    );
    const drawn = drawTimeline(timeline.entries, { call: 6, seq: null, most: 10 });
    assert.equal(drawn.match(/aria-current/g)?.length, 1);
    assert.ok(drawn.indexOf("call 6") < drawn.indexOf("call 5"), "newest first");
    assert.match(drawn, /and 4 calls before it, answered at once/);
  });

  it("tells a failover as one story: silence, PFAIL, FAIL, the vote, the promotion, and what the client did", () => {
    const log = new HandMadeRecord().note({ type: "servers", nodes: servers() });
    log.note({ type: "servers", nodes: servers({ B: SILENT }) }, 200);
    log.note({ type: "servers", nodes: servers({ B: SILENT, A: { suspects: { B: "fail?" } } }) }, 1000);
    const down = { state: "fail", suspects: { B: "fail" } } as const;
    log.note({ type: "servers", nodes: servers({ B: SILENT, A: down, C: down }) }, 100);
    log.call(
      6000,
      [
        ["B", "LOST", "B"],
        ["A", "CLUSTERDOWN", "A"],
      ],
      "B1",
    );
    const promoted = { role: "primary", primary: null, configEpoch: 4, slots: [{ start: 5461, end: 10922 }] } as const;
    log.note({ type: "servers", nodes: servers({ B: { ...SILENT, slots: [] }, B1: promoted }) }, 500);
    const { timeline } = told(log.events);
    const failover = timeline.entries.find(({ kind }) => kind === "failover");
    assert.ok(failover !== undefined, "there is an entry for the failover");
    assert.match(failover.text, /^\[B\] was silent; \[B1\] is promoted after 1\.\d+ s$/);
    const lines = failover.below.map(({ text }) => text);
    const order = [
      /is silent/,
      /\[A\] suspects \[B\]: PFAIL/,
      /down: FAIL/,
      /CLUSTERDOWN, calls are refused/,
      /the client: 2 refused/,
      /call 1: 3 attempts, answered by \[B1\]/,
      /vote for \[B1\]; it wins with epoch 4/,
      /\[B1\] is promoted: it serves 5461-10922/,
    ];
    const at = order.map((pattern) => lines.findIndex((line) => pattern.test(line)));
    assert.deepEqual(
      at,
      at.toSorted((a, b) => a - b),
      lines.join("\n"),
    );
    assert.ok(!at.includes(-1), lines.join("\n"));
    assert.equal(timeline.entries.length, 2, "nothing of it is told outside the failover");
  });

  it("keeps a bounded number of entries and calls, however many there are", () => {
    const log = new HandMadeRecord();
    for (let call = 0; call < MOST_CALLS + 50; call++) log.call(1, [["A", "TRYAGAIN", "A"]], "A");
    const { record, timeline } = told(log.events);
    assert.equal(record.calls.size, MOST_CALLS);
    assert.equal(timeline.entries.length, MOST_ENTRIES);
  });

  it("keeps a bounded number of events, however many one call has", () => {
    const log = new HandMadeRecord();
    const refusals = Array.from({ length: 100 }, () => ["A", "TRYAGAIN", "A"] as const);
    for (let call = 0; call < 300; call++) log.call(1, refusals, "A");
    const { record } = told(log.events);
    const kept = [...record.calls.values()].reduce((sum, { events }) => sum + events.length, 0);
    assert.equal(record.eventsOfCalls, kept);
    assert.ok(log.events.length > 2 * MOST_EVENTS, `${log.events.length} events`);
    assert.ok(kept > MOST_EVENTS / 2 && kept < MOST_EVENTS + 1000, `${kept} events are kept`);
    assert.equal(record.calls.has(300), true, "the newest call is kept");
    assert.deepEqual(record.facts.calls, {}, "no facts of calls are copied with each event of a call");
  });

  it("keeps a bounded number of counts of keys, however full the slots are, and all looks", () => {
    const log = new HandMadeRecord();
    const full = Object.fromEntries(Array.from({ length: 5000 }, (_, slot) => [slot, 1]));
    for (let look = 0; look < MOST_LOOKS; look++) {
      log.note({ type: "servers", nodes: servers({ A: { keysBySlot: { ...full }, keys: look } }) });
    }
    const { record } = told(log.events);
    const kept = record.servers.flatMap(({ nodes }) =>
      nodes.map(({ keysBySlot = {} }) => Object.keys(keysBySlot).length),
    );
    const sum = kept.reduce((a, b) => a + b, 0);
    assert.equal(record.counts, sum);
    assert.ok(sum > MOST_COUNTS / 2 && sum <= MOST_COUNTS, `${sum} counts are kept`);
    assert.equal(record.servers.length, MOST_LOOKS);
    assert.equal(serversAt(record, 1).find(({ name }) => name === "A")?.keysBySlot, undefined);
    assert.equal(serversAt(record, null).find(({ name }) => name === "A")?.keysBySlot?.[1], 1);
    add(record, { ...log.events[0], seq: log.events.length + 1 } as StudyEvent);
    assert.equal(record.servers.length, (MOST_LOOKS * 3) / 4 + 1, "the oldest looks go");
  });

  it("shows the servers as they were at a moment", () => {
    const log = new HandMadeRecord()
      .note({ type: "servers", nodes: servers() })
      .note({ type: "servers", nodes: servers(HALF) });
    const { record } = told(log.events);
    assert.equal(serversAt(record, 1).find(({ name }) => name === "C")?.open.length, 0);
    assert.equal(serversAt(record, null).find(({ name }) => name === "C")?.open.length, 1);
  });
});

describe("the lessons", () => {
  it("are six, each with three steps, keys in one slot, and a question that the servers' counts decide", () => {
    assert.equal(LESSONS.length, 6);
    for (const { keys, steps, choices, right, lesson } of LESSONS) {
      assert.equal(steps.length, 3, lesson);
      assert.equal(new Set(keys.map(slotOf)).size, 1, lesson);
      const answers = [null, 0, 1, 2, 5].map((count) => right(keys.map(() => count)));
      assert.ok(
        answers.every((answer) => answer in choices),
        lesson,
      );
      assert.ok(new Set(answers).size > 1, `${lesson}: the counts decide`);
    }
  });

  it("offer the next step alone, and the question after the last", () => {
    const first = drawLessons(LESSONS, 1, freshLesson());
    assert.equal(first.match(/data-step="\d" [^>]*disabled/g)?.length, 2);
    assert.doesNotMatch(first, /data-choice/);
    const last = drawLessons(LESSONS, 1, { ...freshLesson(), done: 3, chosen: 1, counts: [2] });
    assert.equal(last.match(/data-choice/g)?.length, 3);
    assert.match(last, /<b class="bad">No\.<\/b> The servers count 2\./);
  });
});
