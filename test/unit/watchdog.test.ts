import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Connection } from "../../src/connection/connection.ts";
import { openConnection } from "../../src/connection/open-connection.ts";
import { Probe } from "../../src/connection/probe.ts";
import { Watchdog } from "../../src/connection/watchdog.ts";
import { settingsOn } from "../support/connection-settings.ts";
import { FakeWire } from "../support/fake-wire.ts";

const BUSY = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n";
const NOPERM = "-NOPERM this user has no permissions to run the 'client|list' command\r\n";
const NOSCRIPT = "-NOSCRIPT No matching script. Please use EVAL.\r\n";
const EMPTY = "flags=N qbuf=0 argv-mem=0 obl=0 oll=0 omem=0";

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;

describe("a watchdog", () => {
  let wire: FakeWire;
  let connection: Connection;
  let probe: Probe;
  let watchdog: Watchdog;
  let seen: string[];
  let seenAt: number;
  /** What the server answers, by command. Undefined: it does not answer the command, nor any behind it. */
  let answers: Record<string, (() => string) | undefined>;
  let clients: number;

  function server(written: string): string | undefined {
    let out = "";
    for (const command of written.split(/\*\d+\r\n/).slice(1)) {
      const [name = "", sub = ""] = command.split(/\$\d+\r\n|\r\n/).filter((part) => part !== "");
      const known = answers[name] ?? answers[`${name} ${sub}`];
      if (known === undefined) return out === "" ? undefined : out;
      out += known();
    }
    return out;
  }

  async function open(): Promise<void> {
    const settings = settingsOn(wire, { nodeId: () => "" });
    const opening = openConnection(settings);
    await wire.pass(2 * wire.delayMs);
    connection = await opening;
    seen = [];
    const note = (what: string) => {
      seen.push(what);
      seenAt = wire.clock.time;
    };
    probe = new Probe(settings);
    watchdog = new Watchdog(connection, wire.clock, probe, {
      onDead: (why) => note(`dead: ${why.message}`),
      onSilent: (why) => note(`silent: ${why.message}`),
      onSpeaking: () => note("speaking"),
    });
  }

  /** A call is written. When. */
  function call(...args: string[]): number {
    void connection.exchange(args.length === 0 ? ["GET", "k"] : args);
    watchdog.watch();
    return wire.clock.time;
  }

  const kinds = () => seen.map((what) => what.split(":")[0]);
  const reply = () => wire.opened[0]?.receive("+OK\r\n");
  const saysOfFirst = (line: string) => {
    answers["CLIENT LIST"] = () => bulk(`id=1 addr=10.0.0.1:1 ${line}\n`);
  };

  beforeEach(async () => {
    wire = new FakeWire();
    wire.server = (written) => server(written);
    clients = 0;
    answers = {
      PING: () => "+PONG\r\n",
      INFO: () => bulk("run_id:abc\r\n"),
      "CLIENT INFO": () => bulk(`id=${++clients} addr=10.0.0.1:${clients} ${EMPTY}\n`),
      "CLIENT SETINFO": () => "+OK\r\n",
      EVALSHA: () => NOSCRIPT,
    };
    saysOfFirst(EMPTY);
    await open();
  });
  /** Ends what `open` made. */
  async function end(): Promise<void> {
    watchdog.end();
    probe.close();
    connection.close(new Error("done"));
    await wire.pass(0);
  }

  afterEach(async () => {
    await end();
    assert.equal(wire.clock.pending.size, 0, "no timer is left");
    assert.ok(wire.opened.every(({ closed }) => closed));
  });

  it("asks nobody while replies come, reads the clock once for all that is written meanwhile, and rests in between", async () => {
    assert.equal(wire.clock.pending.size, 0);
    for (let time = 0; time < 20; time++) {
      call();
      await wire.pass(90);
      reply();
    }
    assert.equal(wire.opened.length, 1);
    const readings = wire.clock.readings;
    for (let time = 0; time < 1000; time++) call();
    assert.equal(wire.clock.readings, readings);
    for (let time = 0; time < 1000; time++) reply();
    await wire.pass(600);
    assert.deepEqual([seen, wire.clock.pending.size], [[], 0]);
  });

  it("finds a connection dead of which the server has nothing in hand, when it has said so twice", async () => {
    const start = call();
    await wire.pass(495);
    assert.equal(wire.opened.length, 1, "half a second is nothing yet");
    await wire.pass(1000);
    assert.match(seen.join(), /^dead: no answer for \d+ ms, .* and has nothing of this one in hand$/);
    assert.ok(seenAt - start < 1000, `after ${seenAt - start} ms`);
    assert.equal(wire.opened.length, 2, "one probe for both questions");
  });

  it("finds a connection dead that the server does not know, or that is another client's by now", async () => {
    for (const list of ["", `id=1 addr=10.0.0.7:99 ${EMPTY}\n`]) {
      answers["CLIENT LIST"] = () => bulk(list);
      call();
      await wire.pass(1000);
      assert.match(seen.join(), /^dead: .* does not know this one any more$/);
      await end();
      clients = 0;
      await open();
    }
  });

  it("waits while the server has the connection in hand: blocked, or bytes of it that move", async () => {
    saysOfFirst("flags=b qbuf=0 argv-mem=0 obl=0 oll=0 omem=0");
    call();
    await wire.pass(5000);
    let bytes = 0;
    answers["CLIENT LIST"] = () => bulk(`id=1 addr=10.0.0.1:1 flags=N qbuf=${++bytes} argv-mem=3 obl=0 oll=0 omem=0\n`);
    await wire.pass(10_000);
    assert.deepEqual(seen, []);
    assert.ok(bytes > 5, "it was asked");
    answers["CLIENT LIST"] = () => bulk("id=1 addr=10.0.0.1:1 flags=N qbuf=77 argv-mem=3 obl=0 oll=0 omem=0\n");
    await wire.pass(4000);
    assert.match(seen.join(), /^dead: .* does not move$/);
  });

  it("believes no other process: behind a balancer another server does not know a healthy connection", async () => {
    answers.INFO = () => bulk("run_id:other\r\n");
    answers["CLIENT LIST"] = () => bulk("");
    call();
    await wire.pass(10_000);
    assert.deepEqual(seen, []);
  });

  it("believes no failure of its own question: refused credentials, no room for clients, no provider", async () => {
    const failures = [
      () => "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
      () => "-ERR max number of clients reached\r\n",
      () => "-LOADING Redis is loading the dataset in memory\r\n",
    ];
    call();
    for (const failure of failures) {
      answers.PING = failure;
      await wire.pass(8000);
      assert.deepEqual(seen, []);
    }
    assert.ok(wire.opened.length > 3, "it was asked");
  });

  it("asks what a pause would hold as well where it may not ask about connections, and takes its time", async () => {
    answers["CLIENT LIST"] = () => NOPERM;
    const start = call();
    await wire.pass(1500);
    assert.deepEqual(seen, []);
    await wire.pass(1500);
    assert.match(seen.join(), /^dead: no answer for \d+ ms, while the node answers on another connection$/);
    assert.ok(seenAt - start < 3000, `after ${seenAt - start} ms`);
  });

  it("proves nothing there when that question is refused as well, or the command may run in a thread or block", async () => {
    answers["CLIENT LIST"] = () => NOPERM;
    for (const args of [["FLUSHALL"], ["FT.SEARCH", "index"], ["BLPOP", "k", "0"], ["NEWER.THAN.THE.TABLES"]]) {
      call(...args);
      await wire.pass(8000);
      assert.deepEqual(seen, [], args[0]);
      await end();
      clients = 0;
      await open();
    }
    answers.EVALSHA = () => "-NOPERM this user has no permissions to run the 'evalsha' command\r\n";
    call();
    await wire.pass(8000);
    assert.deepEqual(seen, []);
  });

  it("gives a long upload the time of a slow link there", async () => {
    answers["CLIENT LIST"] = () => NOPERM;
    call("SET", "k", "x".repeat(1_000_000));
    await wire.pass(15_000);
    assert.deepEqual(seen, []);
    await wire.pass(10_000);
    assert.deepEqual(kinds(), ["dead"]);
  });

  it("lets the last bytes arrive before it judges", async () => {
    let asked = 0;
    const list = answers["CLIENT LIST"] as () => string;
    answers["CLIENT LIST"] = () => {
      if (++asked === 2) wire.clock.setTimer(reply, 20);
      return list();
    };
    call();
    await wire.pass(1500);
    assert.deepEqual([seen, asked], [[], 2]);
  });

  it("waits for a node that says BUSY, and for one that answers again", async () => {
    answers.PING = () => BUSY;
    call();
    await wire.pass(4000);
    assert.deepEqual(seen, []);
    reply();
    await wire.pass(6000);
    assert.equal(wire.clock.pending.size, 0);
  });

  it("finds a node silent that answers nobody, says so once, and notices when it speaks again", async () => {
    wire.server = undefined;
    const start = call();
    await wire.pass(3000);
    assert.match(seen.join(), /^silent: no answer for \d+ ms, nor on a second connection$/);
    assert.ok(seenAt - start <= 1200, `after ${seenAt - start} ms`);
    reply();
    await wire.pass(1000);
    assert.deepEqual(kinds(), ["silent", "speaking"]);
  });

  it("finds a node silent in time beside a hurried watchdog, whose questions replace the probe that both ask on", async () => {
    const settings = settingsOn(wire, { nodeId: () => "" });
    const opening = openConnection(settings);
    await wire.pass(2 * wire.delayMs);
    const other = await opening;
    const hurried = new Watchdog(other, wire.clock, probe, { onDead: () => {} }, false, 100);
    answers = {};
    void other.exchange(["GET", "k"]);
    hurried.watch();
    await wire.pass(1000);
    call();
    await wire.pass(1800);
    assert.deepEqual(kinds(), ["silent"]);
    hurried.end();
    other.close(new Error("done"));
  });

  it("finds a node silent whose time to connect is shorter than the time that a probe has", async () => {
    probe = new Probe({ ...settingsOn(wire), connectTimeoutMs: 50 });
    for (const server of [undefined, () => undefined]) {
      wire.server = server;
      watchdog.end();
      seen = [];
      watchdog = new Watchdog(connection, wire.clock, probe, { onDead: () => {}, onSilent: () => seen.push("silent") });
      call();
      await wire.pass(2000);
      assert.deepEqual(seen, ["silent"]);
    }
  });

  it("takes a node silent at whose address nobody listens, and not for dead", async () => {
    wire.server = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    call();
    await wire.pass(4000);
    assert.deepEqual(kinds(), ["silent"]);
  });

  it("asks through a new probe when the one that it has kept does not answer", async () => {
    call();
    saysOfFirst("flags=b");
    await wire.pass(700);
    assert.equal(wire.opened.length, 2);
    let isBroken = true;
    answers["CLIENT LIST"] = () => {
      const was = isBroken;
      isBroken = false;
      return was ? "" : bulk("");
    };
    await wire.pass(1500);
    assert.deepEqual([kinds(), wire.opened.length], [["dead"], 3]);
  });

  it("does not blame the node when the event loop was busy: what has arrived is read first", async () => {
    call();
    await wire.pass(10);
    // One turn of the event loop that took four seconds: what the sockets hold comes with the first timer.
    let turns = 0;
    wire.clock.onReads = () => {
      if (++turns === 3) reply();
    };
    wire.clock.time += 4000;
    await wire.pass(20);
    await wire.pass(1000);
    assert.deepEqual([seen, wire.opened.length], [[], 1]);
  });

  it("counts no time in which the process did not listen", async () => {
    call();
    await wire.pass(10);
    wire.clock.time += 60_000;
    await wire.pass(200);
    assert.equal(wire.opened.length, 1, "a quarter of a second has passed, as far as anybody listened");
  });

  it("gives a slow way more time: twice what opening took", async () => {
    connection.close(new Error("done"));
    wire.delayMs = 300;
    await open();
    assert.equal(connection.openedInMs, 600);
    call();
    await wire.pass(1190);
    assert.equal(wire.opened.length, 2);
    await wire.pass(4000);
    assert.deepEqual(kinds(), ["dead"]);
  });

  it("leaves no timer when it ends, and ends its question with itself", async () => {
    call();
    assert.equal(wire.clock.pending.size, 1);
    watchdog.end();
    assert.equal(wire.clock.pending.size, 0);
    await end();
    await open();
    wire.server = undefined;
    call();
    await wire.pass(600);
    watchdog.end();
    probe.close();
    await wire.pass(2000);
    assert.deepEqual(seen, []);
  });
});
