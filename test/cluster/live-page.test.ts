import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { LocalActions } from "../../src/cli/local-actions.ts";
import type { ServerState, StudyEvent, StudyEventOf } from "../../src/cli/study/events.ts";
import { LiveCluster } from "../../src/cli/web/live-cluster.ts";
import { slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { ask, PageClient, perform } from "../support/page-client.ts";

/** The events of one type in what a page was told. */
function of<T extends StudyEvent["type"]>(page: PageClient, type: T): StudyEventOf<T>[] {
  return page.events.filter((event): event is StudyEvent & StudyEventOf<T> => event.type === type);
}

const serversOf = (page: PageClient): readonly ServerState[] => of(page, "servers").at(-1)?.nodes ?? [];

describe("the live page of a local cluster", () => {
  let local: LocalCluster;
  let actions: LocalActions;
  let live: LiveCluster;
  let page: PageClient;
  before(async () => {
    local = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    actions = await LocalActions.open(local);
    live = await LiveCluster.open({ actions, scripts: [], port: 0 });
    page = new PageClient(live.url);
    await eventually(() => assert.equal(serversOf(page).length, 6));
  });
  after(async () => {
    page?.close();
    await live?.close();
    await actions?.close();
    await local?.stop();
  });

  const done = async (asked: Record<string, unknown>) => {
    const answer = await perform(live.url, asked);
    assert.equal(answer.ok, true, JSON.stringify(answer));
    return answer;
  };
  /** The call of that number, when the page has been told its end. */
  const whole = (call: unknown) =>
    eventually(() => {
      const events = page.events.filter((event) => "call" in event && event.call === call);
      assert.equal(events.at(-1)?.type, "settled", `call ${call} has not ended`);
      return events;
    });
  const failuresOf = (events: readonly StudyEvent[]) =>
    events.flatMap((event) => (event.type === "decided" ? [event.failure] : []));
  const rowsOf = (events: readonly StudyEvent[]) =>
    events.flatMap((event) => (event.type === "decided" ? [event.row] : []));
  const lesson = async (name: string) => {
    const prepared = await done({ name: "lesson-prepare", lesson: name });
    return prepared.does as { name: string; keys: string[] };
  };
  const ledger = async (name: string) => {
    const { runs } = await done({ name: "ledger", lesson: name });
    return (runs as { runs: number | null }[]).map((each) => each.runs);
  };

  it("tells the servers' own word, and what the client believes", async () => {
    assert.deepEqual(
      serversOf(page).map(({ name, role, primary }) => [name, role, primary]),
      [
        ["A", "primary", null],
        ["A1", "replica", "A"],
        ["B", "primary", null],
        ["B1", "replica", "B"],
        ["C", "primary", null],
        ["C1", "replica", "C"],
      ],
    );
    const { hello } = page;
    assert.equal(hello?.mode, "cluster");
    assert.match(hello?.server ?? "", /^(Redis|Valkey) \d+\.\d+\.\d+$/);
    const [count] = hello?.scripts ?? [];
    assert.equal(count?.name, "count");
    assert.ok(
      serversOf(page).every(({ scripts }) => scripts[count?.sha ?? ""] === true),
      "preloaded on every node",
    );
    assert.equal(of(page, "topology")[0]?.nodes.length, 6);
    assert.equal(of(page, "connected").filter(({ error }) => error === null).length >= 6, true);
  });

  it("makes calls, and counts the keys of their slots", async () => {
    const answer = await done({ name: "call", script: "count", keys: ["a"], args: [] });
    assert.deepEqual([answer.done, answer.reply], ["1", "1"]);
    const events = await whole(answer.call);
    assert.deepEqual(
      events.flatMap(({ type }) => (type === "bytes" ? [] : [type])),
      ["call", "queued", "written", "answered", "settled"],
    );
    const bytes = events.flatMap((event) => (event.type === "bytes" ? [event.text] : []));
    assert.equal(bytes.length, 2);
    assert.match(bytes[0] ?? "", /EVALSHA.*<1 byte>/s);
    await eventually(() => {
      const owner = serversOf(page).find(({ keysBySlot }) => keysBySlot?.[slotOf("a")] === 1);
      assert.equal(owner?.role, "primary");
    });
    const set = await done({ name: "call", command: "SET b 'x y'" });
    assert.equal(set.reply, '"OK"');
    const get = await done({ name: "call", command: ["GET", "b"] });
    assert.equal(get.reply, '"x y"');
    assert.notEqual(get.call, set.call);
    const wrong = await perform(live.url, { name: "call", command: ["GET"] });
    assert.equal(wrong.ok, false);
  });

  it("shows one ASK for a call in a slot that was half-moved", async () => {
    const owner = serversOf(page).find(({ slots }) =>
      slots.some(({ start, end }) => start <= slotOf("c") && slotOf("c") <= end),
    );
    const to = serversOf(page).find(({ name, role }) => role === "primary" && name !== owner?.name);
    await done({ name: "half-move", key: "c", to: to?.name });
    const { call } = await done({ name: "call", script: "count", keys: ["c"] });
    const events = await whole(call);
    assert.deepEqual([failuresOf(events), rowsOf(events)], [["ASK"], ["ask-known"]]);
    assert.deepEqual(
      events.flatMap((event) => (event.type === "queued" ? [[event.address, event.asking]] : [])),
      [
        [owner?.address, false],
        [to?.address, true],
      ],
    );
    await eventually(() => {
      const open = serversOf(page).flatMap(({ name, open: its }) =>
        its.map((each) => [name, each.slot, each.kind, each.peer]),
      );
      assert.deepEqual(
        open.sort(),
        [
          [owner?.name, slotOf("c"), "migrating", to?.name],
          [to?.name, slotOf("c"), "importing", owner?.name],
        ].sort(),
      );
      assert.equal(serversOf(page).find(({ name }) => name === to?.name)?.keysBySlot?.[slotOf("c")], 1);
    });
    await done({ name: "settle", key: "c" });
    await eventually(() =>
      assert.deepEqual(
        serversOf(page).flatMap(({ open }) => open),
        [],
      ),
    );
    await eventually(() =>
      assert.deepEqual(
        of(page, "action").map(({ name, state }) => [name, state]),
        [
          ["half-move", "begun"],
          ["half-move", "done"],
          ["settle", "begun"],
          ["settle", "done"],
        ],
      ),
    );
  });

  it("shows the dots go out at a flush, and come back by the audit", async () => {
    const sha = page.hello?.scripts[0]?.sha ?? "";
    const dots = () => serversOf(page).map(({ scripts }) => scripts[sha]);
    await done({ name: "flush" });
    await eventually(() => assert.deepEqual(dots(), Array(6).fill(false)));
    const { call } = await done({ name: "call", script: "count", keys: ["d"] });
    assert.deepEqual(failuresOf(await whole(call)), ["NOSCRIPT"]);
    await eventually(() => assert.deepEqual(dots(), Array(6).fill(true)));
    assert.ok(
      of(page, "loaded").some(({ error }) => error === null),
      "loads are told",
    );
  });

  it("makes the client begin with what it would believe if its news were old", async () => {
    const owner = serversOf(page).find(({ slots }) =>
      slots.some(({ start, end }) => start <= slotOf("e") && slotOf("e") <= end),
    );
    const other = serversOf(page).find(({ name, role }) => role === "primary" && name !== owner?.name);
    const { call } = await done({ name: "call", script: "count", keys: ["e"], from: other?.name });
    assert.deepEqual(failuresOf(await whole(call)), ["MOVED"]);
    await done({ name: "flush" });
    const flushed = await done({ name: "call", script: "count", keys: ["e"], preloaded: true });
    assert.deepEqual(failuresOf(await whole(flushed.call)), ["NOSCRIPT"]);
  });

  it("refuses what it cannot do, and says what is accepted", async () => {
    const error = async (asked: Record<string, unknown>) => {
      const answer = await perform(live.url, asked);
      assert.equal(answer.ok, false, JSON.stringify(asked));
      return answer.ok ? "" : answer.error;
    };
    assert.match(await error({}), /no name is given; accepted are call, move-slot, /);
    assert.match(await error({ name: "dance" }), /there is no "dance"; accepted are call, /);
    assert.match(await error({ name: "constructor" }), /there is no "constructor"/);
    assert.match(await error({ name: ["flush"] }), /there is no \["flush"\]/);
    assert.match(
      await error({ name: "flush", node: "A" }),
      /flush does not know "node"; accepted is nothing but its name/,
    );
    assert.match(
      await error({ name: "move-slot", slot: 16384, to: "A" }),
      /slot is 16384; accepted is a whole number from 0 to 16383/,
    );
    assert.match(await error({ name: "move-slot", to: "A" }), /needs a slot, or a key in it/);
    assert.match(
      await error({ name: "move-slot", slot: 1, to: "Z" }),
      /to is "Z"; accepted is A \(127\.0\.0\.1:\d+\), A1/,
    );
    assert.match(await error({ name: "kill" }), /kill: node is missing; accepted is A \(/);
    assert.match(await error({ name: "call" }), /needs a script, or a command/);
    assert.match(await error({ name: "call", script: "nope" }), /no such script; accepted are count/);
    assert.match(
      await error({ name: "call", script: "count", keys: [{}] }),
      /keys is \[\{\}\]; accepted is an array of texts/,
    );
    assert.match(await error({ name: "call", command: "GET 'x" }), /the ' is not closed/);
    assert.match(await error({ name: "call", command: "PING", from: "A" }), /from needs a call with keys/);
    assert.match(await error({ name: "load", calls: -1 }), /calls is -1; accepted is a whole number from 0 to 10000/);
    assert.match(await error({ name: "move-key", key: "a" }), /is not half-way/);
    assert.match(
      await error({ name: "lesson-prepare", lesson: "x" }),
      /accepted are moved, ask, tryagain, noscript, failover, lost/,
    );
    assert.match(await error({ name: "failover", node: "A" }), /is a primary already/);
  });

  it("prepares MOVED, ASK, TRYAGAIN, NOSCRIPT and a lost reply, which the next call meets, and reads the ledger", async () => {
    for (const [name, failures, runs] of [
      ["moved", ["MOVED"], [1]],
      ["ask", ["ASK"], [1]],
      ["noscript", ["NOSCRIPT"], [1]],
      ["moved", ["MOVED"], [1]],
      ["noscript", ["NOSCRIPT"], [1]],
    ] as const) {
      const does = await lesson(name);
      assert.deepEqual(await ledger(name), [null], name);
      const { call } = await done(does);
      const events = await whole(call);
      assert.deepEqual([name, failuresOf(events)], [name, failures]);
      assert.deepEqual([name, await ledger(name)], [name, runs]);
    }

    const does = await lesson("tryagain");
    const under = perform(live.url, { ...does, timeout: 60_000 });
    const call = await eventually(() => {
      const found = of(page, "decided").find(({ failure }) => failure === "TRYAGAIN");
      assert.ok(found, "TRYAGAIN has come");
      return found.call;
    });
    assert.deepEqual(await ledger("tryagain"), [0, 0]);
    await done({ name: "settle", key: does.keys[0] });
    assert.equal((await under).ok, true);
    const kinds = new Set(failuresOf(await whole(call)));
    assert.ok(kinds.has("TRYAGAIN") && !kinds.has("NOSCRIPT"), [...kinds].join());
    assert.deepEqual(await ledger("tryagain"), [1, 1]);

    const lost = await lesson("lost");
    const answer = await perform(live.url, lost);
    assert.deepEqual([answer.ok, answer.code, answer.outcome], [false, "CONNECTION_LOST", "unknown"]);
    const events = await whole(answer.call);
    assert.deepEqual([failuresOf(events), rowsOf(events)], [["LOST"], ["lost"]]);
    assert.equal(
      events.some(({ type }) => type === "answered"),
      false,
      "no answer was heard",
    );
    assert.deepEqual(await ledger("lost"), [1], "it has run, once");
    await eventually(() => assert.ok(of(page, "disconnected").length > 0, "the loss of the connection is told"));
    const again = await done({ ...lost });
    assert.equal(again.reply, "2", "only one reply was lost");
  });

  it("tells a load of calls by its rate, and keeps the record small", async () => {
    const before = page.events.length;
    await done({ name: "load", calls: 300 });
    await eventually(() =>
      assert.ok(
        page.rates.some(({ calls, dropped }) => calls > 200 && dropped > 100),
        JSON.stringify(page.rates.at(-1)),
      ),
    );
    const wanted = await done({ name: "call", script: "count", keys: ["wanted"] });
    await whole(wanted.call);
    await done({ name: "load", calls: 0 });
    await eventually(() => assert.equal(page.rates.at(-1)?.calls, 0));
    assert.ok(page.events.length - before < 50 * 7 * 30, `${page.events.length - before} events`);
  });

  it("shows arguments on demand alone", async () => {
    await done({ name: "show-arguments", on: true });
    const shown = await done({ name: "call", command: ["SET", "secret-key", "secret-value"] });
    const text = JSON.stringify(await whole(shown.call));
    assert.match(text, /secret-value/);
    await done({ name: "show-arguments", on: false });
    const hidden = await done({ name: "call", command: ["SET", "secret-key", "secret-value"] });
    assert.doesNotMatch(JSON.stringify(await whole(hidden.call)), /secret/);
  });

  it("gives the record as one file that loads nothing", async () => {
    const { status, headers, text } = await ask(`${live.url}record.html`);
    assert.equal(status, 200);
    assert.match(String(headers["content-disposition"]), /^attachment; filename="slotwire-record\.html"$/);
    assert.doesNotMatch(text, /\bsrc="|<link\b(?![^>]*href="data:)|\burl\(/);
    assert.doesNotMatch(text, new RegExp(new URL(live.url).pathname));
    const [, json = ""] = /<script type="application\/json" id="record">(.*?)<\/script>/s.exec(text) ?? [];
    const { hello, events } = JSON.parse(json) as { hello: { mode: string }; events: StudyEvent[] };
    assert.equal(hello.mode, "cluster");
    assert.ok(
      events.some((event) => event.type === "decided" && event.failure === "ASK"),
      "the ASK is in it",
    );
    const [, map = ""] = /<script type="importmap">(.*?)<\/script>/s.exec(text) ?? [];
    const { imports } = JSON.parse(map) as { imports: Record<string, string> };
    for (const url of Object.values(imports)) {
      const source = Buffer.from(url.replace(/^.*?base64,/, ""), "base64").toString();
      for (const [, , name = ""] of source.matchAll(/^(import|export)\b[^;]*? from "([^"]+)"/gm)) {
        assert.ok(name in imports, name);
      }
    }
  });

  it("tells of a killed primary: its silence, the votes, the promotion, and what the client's calls met", async () => {
    const does = await lesson("failover");
    const answer = await done({ ...does, timeout: 60_000 });
    const events = await whole(answer.call);
    const places = events.flatMap((event) => (event.type === "queued" ? [event.address] : []));
    assert.ok(new Set(places).size > 1, "it was queued for the killed node, and then for another one");
    assert.equal(events.filter(({ type }) => type === "written").length, 1, "it was written once");
    assert.deepEqual(await ledger("failover"), [1]);
    const slot = slotOf(does.keys[0] ?? "");
    await eventually(() => {
      const owner = serversOf(page).find(
        ({ role, slots }) => role === "primary" && slots.some(({ start, end }) => start <= slot && slot <= end),
      );
      assert.match(owner?.name ?? "", /^[ABC]\d$/, "a replica owns the slot");
      const dead = serversOf(page).find(({ error }) => error !== null);
      assert.equal(dead?.health, "fail");
    });
    const history = of(page, "servers");
    assert.ok(
      history.some(({ nodes }) => nodes.some(({ error }) => error !== null)),
      "silence",
    );
    assert.ok(
      history.some(({ nodes }) => nodes.some(({ suspects }) => Object.values(suspects).length > 0)),
      "suspects",
    );
    await eventually(() =>
      assert.ok(
        of(page, "topology").some(({ promoted }) => promoted.length > 0),
        "the client's map",
      ),
    );
  });

  it("begins with the present state for a page that opens late", async () => {
    const late = new PageClient(live.url);
    await eventually(() => assert.deepEqual(serversOf(late), serversOf(page)));
    assert.equal(late.events[0]?.seq !== undefined && late.hello?.mode, "cluster");
    late.close();
  });
});
