import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { LocalActions } from "../../src/cli/local-actions.ts";
import { Session } from "../../src/cli/session.ts";
import { COMMANDS } from "../../src/cli/shell/commands.ts";
import { LoadReports } from "../../src/cli/shell/load-reports.ts";
import { Shell } from "../../src/cli/shell/shell.ts";
import { PLAIN, type Terminal } from "../../src/cli/terminal.ts";
import { slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const SLOT = 1000;
const [x, y] = [keyForSlot(SLOT, "x"), keyForSlot(SLOT, "y")];

describe("the shell of slotwire cluster", () => {
  let local: LocalCluster;
  let session: Session;
  let actions: LocalActions;
  let json: Shell;
  let words: Shell;
  const progress: string[] = [];
  const terminal: Terminal = {
    width: 80,
    paint: PLAIN,
    write: () => {},
    progress: (text) => void progress.push(text),
    warn: () => {},
  };
  const ask = async <T = Record<string, unknown>>(line: string) => JSON.parse(await json.perform(line)) as T;
  const done = async (line: string) => String((await ask(line)).done);
  const error = async (line: string) => String((await ask(line)).error);
  const at = (name: string) => {
    const address = actions.addressOf(name);
    return `${name} (${address})`;
  };
  const stateOf = async (name: string) => (await actions.look()).find((state) => state.name === name);
  const openSlots = async () => (await actions.look()).flatMap(({ open }) => open);

  before(async () => {
    local = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    session = await Session.open({ ...local.connectOptions, topologyRefreshInterval: 0 });
    actions = await LocalActions.open(local);
    json = new Shell({ local, actions, session, json: true, terminal });
    words = new Shell({ local, actions, session, json: false, terminal });
  });
  after(async () => {
    await actions.close();
    session.close();
    await local.stop();
  });

  it("names the nodes by their slots, and takes names, ports and addresses", async () => {
    assert.deepEqual(actions.names, ["A", "A1", "B", "B1", "C", "C1"]);
    assert.deepEqual((await stateOf("A"))?.slots, [{ start: 0, end: 5460 }]);
    assert.equal((await stateOf("B1"))?.primary, "B");
    const address = actions.addressOf("B");
    for (const word of ["B", "b", address, address.split(":")[1]]) assert.equal(actions.addressOf(word), address);
    const greeting = words.greeting();
    for (const name of actions.names) assert.ok(greeting.includes(`${name} ${actions.addressOf(name)}`), greeting);
  });

  it("reads and writes a key, and says where the call went", async () => {
    assert.equal(await done(`set ${x} 'a b'`), `"OK"  slot ${SLOT}: ${at("A")} answered`);
    assert.deepEqual(await ask(`get ${x}`), {
      done: `"a b"  slot ${SLOT}: ${at("A")} answered`,
      reply: "a b",
      slot: SLOT,
      nodes: [{ name: "A", address: actions.addressOf("A"), refused: null }],
    });
    assert.equal(await words.perform(`get ${y}`), `null  slot ${SLOT}: ${at("A")} answered\n`);
    await session.cluster.command("HSET", "hash", "a", "1");
    assert.match(await error("get hash"), /WRONGTYPE/);
    await session.cluster.command("DEL", "hash");
  });

  it("half-moves a slot: ASK; moves one key: TRYAGAIN; and settles it", async () => {
    assert.deepEqual(await ask(`migrate ${SLOT} C`), {
      done: `slot ${SLOT} is half-way from ${at("A")} to ${at("C")}`,
      details: [
        "A answers ASK for keys that it has no more",
        `\`move ${SLOT} C\` ends it, \`settle ${SLOT}\` undoes it`,
      ],
    });
    assert.equal(await done(`get ${y}`), `null  slot ${SLOT}: ${at("A")} said ASK, then ${at("C")} answered`);
    await done(`settle ${SLOT}`);

    // The key alone begins the half-move, too.
    await done(`set ${y} 2`);
    const went = await ask<{ done: string; details: string[] }>(`migrate ${SLOT} C ${x}`);
    assert.equal(went.done, `"${x}" went from ${at("A")} to ${at("C")}`);
    assert.match(
      went.details[0] ?? "",
      /^1 key of slot 1000 is left at A: calls with keys of both nodes get TRYAGAIN$/,
    );
    const both = session.cluster.with({ timeout: 300 }).command("MGET", x, y);
    await assert.rejects(both, /TRYAGAIN/);
    assert.match(await done(`migrate ${SLOT} C ${x}`), /^"x\d+" is at C .* already$/);
    assert.match(await error(`migrate ${SLOT} C {${x}}none`), /A \(.*\) has no key "\{x\d+\}none"; `set` makes one/);
    assert.match(await error(`migrate ${SLOT} C foo`), /the key "foo" is of slot 12182, not 1000/);
    assert.match(
      await error(`migrate ${SLOT} B`),
      /slot 1000 is half-way to C; `move 1000 C` ends that, `settle 1000`/,
    );

    const settled = await ask<{ done: string; details: string[]; steps: unknown[] }>(`settle ${SLOT}`);
    assert.equal(settled.done, `slot ${SLOT} is A's (${actions.addressOf("A")}), whole again`);
    assert.deepEqual(settled.details, [
      "1 key moved from A to C",
      "the slot given from A to C",
      "2 keys moved from C to A",
      "the slot given from C to A",
    ]);
    assert.equal(settled.steps.length, 4);
    assert.match(await done(`settle ${SLOT}`), /A's \(.*\), and was whole$/);
    assert.deepEqual(await session.cluster.command("MGET", x, y), ["a b", "2"]);
  });

  it("ends a half-move by a move to its owner, its target or a third node", async () => {
    for (const to of ["A", "C", "B", "A"]) {
      const owner = (await actions.look()).find(({ slots }) =>
        slots.some(({ start, end }) => start <= SLOT && SLOT <= end),
      );
      const target = ["A", "B", "C"].find((name) => name !== owner?.name && name !== (to === owner?.name ? "" : to));
      await done(`migrate ${SLOT} ${to === "C" ? "C" : target} ${x}`);
      assert.equal(await done(`move ${SLOT} ${to}`), `slot ${SLOT} is ${to}'s (${actions.addressOf(to)})`);
      assert.deepEqual(await openSlots(), []);
      assert.deepEqual(await session.cluster.command("MGET", x, y), ["a b", "2"]);
    }
    assert.equal(await done(`move ${SLOT} A`), `slot ${SLOT} is A's already (${actions.addressOf("A")})`);
  });

  it("warns before a failover that would break a half-moved slot, and does it --anyway", async () => {
    await done(`migrate ${SLOT} C ${x}`);
    const warning = await error("failover A1");
    assert.match(warning, /^slot 1000 is half-way from A to C\. A1 would not know of the move: .* CLUSTERDOWN/);
    assert.match(warning, /`settle 1000` closes it first; `failover A1 --anyway` goes on\.$/);
    assert.equal((await stateOf("A1"))?.role, "replica");
    assert.match(await error("failover C1"), /^slot 1000 is half-way from A to C\./);
    // It concerns neither end.
    const open = `slot ${SLOT} is still half-way: \`settle ${SLOT}\` closes it`;
    assert.deepEqual(await ask("failover B1"), { done: `${at("B1")} is a primary`, details: [open] });

    const failedOver = await ask<{ done: string; details: string[] }>("failover A1 --anyway");
    assert.equal(failedOver.done, `${at("A1")} is a primary`);
    assert.equal(failedOver.details.at(-1), open);
    const down = (await actions.look()).filter(({ state }) => state === "fail").map(({ name }) => name);
    const told = down.map((name) => `CLUSTERDOWN is what ${name} answers to everything now`);
    assert.deepEqual(failedOver.details.slice(0, -1), told);
    assert.match(await done(`settle ${SLOT}`), /^slot 1000 is A1's \(.*\), whole again$/);
    await eventually(async () =>
      assert.deepEqual(
        (await actions.look()).map(({ state }) => state),
        Array(6).fill("ok"),
      ),
    );
    assert.deepEqual(await session.cluster.command("MGET", x, y), ["a b", "2"]);
    assert.match(await error("failover A1"), /^A1 \(.*\) is a primary already; accepted are A \(.*\), B \(.*\), C1 \(/);
    await done("failover A");
    await done("failover B");
  });

  it("makes a steady load, which survives a failover, and tells of its errors", async () => {
    assert.match(await done("load 300"), /^300 calls\/s from now on/);
    const made = async (least: number) => {
      await eventually(async () => {
        const { load } = await ask<{ load: { made: number; answered: number } }>("load");
        assert.ok(load.answered >= least, JSON.stringify(load));
      });
    };
    await made(100);
    await done("failover C1");
    const { load } = await ask<{ load: { answered: number } }>("load");
    await made(load.answered + 300);
    assert.match(await done("load 100"), /^100 calls\/s/);
    await made(10);
    assert.match(await done("load 0"), /^load of 100 calls\/s: \d+ calls made, \d+ answered, no errors; it has ended$/);
    assert.equal(await done("load"), "there is no load");
    assert.equal(await done("load 0"), "there is no load");
    assert.equal(await error("load -1"), 'load is "-1"; accepted is a whole number from 0 to 10000.');
    await done("failover C");

    const told: string[] = [];
    const reports = new LoadReports(actions, (text) => told.push(text));
    // Calls to a key of another type are answered by errors.
    for (let key = 0; key < 1000; key++) {
      await session.cluster.command("DEL", `load:${key}`);
      await session.cluster.command("HSET", `load:${key}`, "a", "1");
    }
    try {
      await done("load 50");
      await eventually(() => assert.ok(told.length >= 2, "told again and again"));
      assert.match(told[0] ?? "", /^load: \d+ REPLY in the last second; .*WRONGTYPE/);
      const { load: failing } = await ask<{ load: { errors: Record<string, number>; made: number } }>("load");
      assert.ok((failing.errors.REPLY ?? 0) > 0 && (failing.errors.REPLY ?? 0) <= failing.made);
      // At most one line a second, however many calls have failed.
      assert.ok(told.length < (failing.errors.REPLY ?? 0));
    } finally {
      await done("load 0");
      reports.close();
    }
  });

  it("says in one line what was wrong, and what is accepted", async () => {
    for (const [line, message] of [
      ["dance", /^there is no command "dance"; accepted are topology, explain, /],
      ["move", /^SLOT and NODE are missing; accepted is move SLOT NODE, as in: move 12182 B$/],
      ["move 5", /^NODE is missing; accepted is move SLOT NODE, as in: move 12182 B$/],
      ["move 5 A B", /^"B" is one word too many; accepted is move SLOT NODE, as in: move 12182 B$/],
      ["move x A", /^SLOT is "x"; accepted is a whole number from 0 to 16383\.$/],
      [
        "move 5 Q",
        /^there is no node "Q" that runs; accepted are A \(127\.0\.0\.1:\d+\), .*, by name, port or address\.$/,
      ],
      ["move 5 A1", /^A1 \(.*\) is a replica; accepted are A \(.*\), B \(.*\), C \(/],
      ["migrate 5 A", /^slot 5 is A's already \(.*\); accepted are B \(.*\), C \(.*\)\.$/],
      ["settle", /^SLOT is missing; accepted is settle SLOT, as in: settle 12182$/],
      ["settle 16384", /^SLOT is "16384"; accepted is a whole number from 0 to 16383\.$/],
      ["flush now", /^"now" is one word too many; flush takes no words$/],
      ["failover A1 now", /^"now" is no option of failover; accepted is --anyway\.$/],
      ["failover A", /^A \(.*\) is a primary already; accepted are A1 \(.*\), B1 \(.*\), C1 \(.*\)\.$/],
      ["set a", /^VALUE is missing; accepted is set KEY VALUE, as in: set /],
      ["slot --x", /^Unknown option '--x'; accepted are --help, and -- before words that begin with a dash\.$/],
      ["kill", /^NODE is missing; accepted is kill NODE, as in: kill A$/],
    ] as const) {
      const text = await error(line);
      assert.match(text, message, line);
      assert.equal(await words.perform(line), `${text}\n`);
    }
  });

  it("gives its help as JSON", async () => {
    const help = await ask<{ name: string; usage: string; summary: string; aliases: string[] }[]>("help");
    assert.equal(help.length, COMMANDS.length);
    assert.deepEqual(
      help.find(({ name }) => name === "pause"),
      {
        name: "pause",
        usage: "pause NODE",
        summary: "freeze a node with SIGSTOP",
        aliases: ["freeze"],
      },
    );
    const text = await words.perform("help");
    for (const { usage, summary } of help) assert.ok(text.includes(`${usage.padEnd(28)}${summary}`), usage);
    for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
    assert.equal(
      await words.perform("move --help"),
      `${COMMANDS.find(({ usage }) => usage === "move SLOT NODE")?.summary}`
        .replace(/^/, "move SLOT NODE: ")
        .concat("\n"),
    );
    assert.match(await words.perform("explain --help"), /^explain \.\.\.: .*\n {2}--eval FILE +the Lua file to run\n/);
    assert.deepEqual((await ask<{ options: string[] }>("scripts --help")).options.slice(0, 2), ["eval", "recursive"]);
  });

  it("completes commands, and the names of nodes", () => {
    assert.deepEqual(words.completions("fa"), [["failover"], "fa"]);
    assert.deepEqual(words.completions("th"), [["thaw"], "th"]);
    assert.deepEqual(words.completions("failover a"), [["A", "A1"], "a"]);
    assert.deepEqual(words.completions("move 5 "), [["A", "A1", "B", "B1", "C", "C1"], ""]);
    assert.deepEqual(words.completions("get a"), [[], "a"]);
  });

  it("takes names behind --from of explain", async () => {
    const explained = await ask<{ hops: { address: string }[] }>(`explain GET ${x} --from c`);
    assert.ok(JSON.stringify(explained).includes(actions.addressOf("C")), JSON.stringify(explained));
  });

  it("hints at half-moved slots when a node is killed, and gives new nodes new names", async () => {
    assert.equal(await done("add"), `${at("D")} has joined`);
    await done(`move ${SLOT} A`);
    await done(`migrate ${SLOT} D ${x}`);
    const said = at("D");
    const gone = { done: `${said} is gone`, details: [`slot ${SLOT} is still half-way: \`settle ${SLOT}\` closes it`] };
    assert.deepEqual(await ask("kill D"), gone);
    const settled = `slot ${SLOT} is A's (${actions.addressOf("A")}), whole again`;
    assert.equal(await words.perform(`settle ${SLOT}`), `${settled}\n  A no longer migrating to D\n`);
    assert.match(await error("kill D"), /there is no node "D" that runs/);
    assert.equal(slotOf(x), SLOT);
    assert.match(await done("add"), /^E \(/);
    for (const line of ["topology", "scripts", `scripts ${"0".repeat(40)}`, `slot ${x}`]) {
      const text = await words.perform(line);
      assert.match(text, new RegExp(`\\bA +(at )?${actions.addressOf("A")}`), text);
    }
  });

  it("bounds a load that nobody answers, and shows what it waits for", async () => {
    for (const address of local.nodes) local.pause(address);
    try {
      await actions.load(5000);
      await eventually(() => assert.ok((actions.loadFigures?.heldBack ?? 0) > 1000, "calls are held back"));
      const figures = actions.loadFigures;
      assert.ok((figures?.inFlight ?? 0) <= 1000, JSON.stringify(figures));
      progress.length = 0;
      // It ends when the calls in flight have ended by their deadline.
      assert.match(await done("load 0"), /held back because 1000 were in flight, errors: .*DEADLINE/);
      assert.ok(
        progress.some((text) => /^load 0 \.\.\. \d+ s$/.test(text)),
        progress.join("|"),
      );
      assert.equal(progress.at(-1), "");
    } finally {
      for (const address of local.nodes) local.resume(address);
    }
  });
});

describe("the shell, while nodes are frozen or gone for good", () => {
  it("says so at once, and does what can be done", async () => {
    await using local = await startCluster({ primaries: 3 });
    const session = await Session.open({ ...local.connectOptions, topologyRefreshInterval: 0 });
    const actions = await LocalActions.open(local);
    const terminal: Terminal = { width: 80, paint: PLAIN, write: () => {}, progress: () => {}, warn: () => {} };
    const shell = new Shell({ local, actions, session, json: true, terminal });
    const ask = async (line: string) => JSON.parse(await shell.perform(line)) as Record<string, string & string[]>;
    const a = actions.addressOf("A");
    try {
      const key = keyForSlot(16000);
      assert.match((await ask(`set ${key} 1`)).done ?? "", /^"OK"/);
      // Nothing waits for an answer of the frozen node.
      assert.equal((await ask("pause A")).done, `A (${a}) is frozen`);
      for (const line of ["move 5 B", "migrate 5 C"]) {
        assert.equal((await ask(line)).error, `${a} is frozen; resume it first.`);
      }
      assert.match((await ask("failover A")).error ?? "", /^A \(.*\) does not answer, so it cannot be promoted\.$/);
      assert.match((await ask(`get ${keyForSlot(5)}`)).error ?? "", /Slot 5: A \(.*\) did not answer\.$/);
      assert.match((await ask("add")).done ?? "", /^D \(.*\) has joined$/);
      await ask("resume A");
      await eventually(async () =>
        assert.deepEqual([...new Set((await actions.look()).map(({ state }) => state))], ["ok"]),
      );

      const went = await ask(`migrate 16000 A ${key}`);
      assert.equal(went.error, undefined);
      assert.match(went.details?.[0] ?? "", /^0 keys of slot 16000 are left at C, which answers ASK for each$/);
      await ask("kill B");
      assert.match((await ask("add")).done ?? "", /^E \(.*\) has joined$/);
      const why = "while other slots are not served, which `topology` shows: CLUSTERDOWN";
      assert.ok(String((await ask("settle 16000")).error).startsWith(`slot 16000 cannot be settled ${why}`));

      for (const name of ["A", "C", "D", "E"]) await ask(`kill ${name}`);
      for (const line of ["topology", "scripts", "slot a", "kill A", "move 5 A"]) {
        assert.equal((await ask(line)).error, "no node runs any more; `quit` ends the cluster.", line);
      }
      assert.match((await ask("add")).error ?? "", /^No server runs that another one could join/);
      const explained = (await ask("explain GET foo")) as unknown as { slot: number; end: { error: { code: string } } };
      assert.deepEqual([explained.slot, explained.end.error.code], [slotOf("foo"), "UNAVAILABLE"]);
    } finally {
      await actions.close();
      session.close();
    }
  });
});
