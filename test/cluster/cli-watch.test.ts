import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import type { ServerState } from "../../src/cli/study/events.ts";
import { defineScript } from "../../src/index.ts";
import { Guard } from "../../src/testing/guard.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { ask, PageClient, perform } from "../support/page-client.ts";
import { scriptFolder } from "../support/script-folder.ts";
import { CLI, optionsFor, ROOT, slotwire } from "../support/slotwire-cli.ts";

const folder = scriptFolder({ "set.lua": "return redis.call('set', KEYS[1], ARGV[1])" });
const SET = defineScript({ file: join(folder, "set.lua") });
/** What a page that watches may ask of a server, as INFO commandstats names it: reads of the cluster's state, and logins. */
const MAY_ASK =
  /^(cluster\|(nodes|info|shards|slots|myid|countkeysinslot)|dbsize|script\|exists|info|ping|hello|auth|select|client\|(id|info|setinfo|setname))$/;

const guard = new Guard();
after(() => guard.release());

const serversOf = (page: PageClient): readonly ServerState[] => {
  const last = page.events.findLast(({ type }) => type === "servers");
  return last?.type === "servers" ? last.nodes : [];
};

/** `slotwire` with a page, until it is ended. */
class Started {
  readonly child: ChildProcess;
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>;
  readonly #lines: AsyncIterator<string>;
  err = "";

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, [CLI, ...args], { cwd: ROOT });
    guard.watch(this.child);
    this.exited = new Promise((resolve) => this.child.once("exit", (code, signal) => resolve([code, signal])));
    this.child.stderr?.on("data", (text) => {
      this.err += text;
    });
    this.#lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    assert.ok(!done, `it has ended: ${this.err}`);
    return value;
  }
}

describe("slotwire watch", () => {
  let local: LocalCluster;
  let watching: Started;
  let url: string;
  let page: PageClient;
  before(async () => {
    local = await startCluster({ primaries: 3, replicasPerPrimary: 1, tls: false });
    await Promise.all(local.nodes.map((address) => local.command(address, "CONFIG", "RESETSTAT")));
    watching = new Started("watch", ...optionsFor(local, folder), "--scripts", folder);
    url = await watching.line();
    page = new PageClient(url);
    await eventually(() => assert.equal(serversOf(page).length, 6));
  });
  after(async () => {
    page?.close();
    watching?.child.kill("SIGKILL");
    await local?.stop();
  });

  it("prints the page's address, which tells what the servers say", () => {
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/$/);
    assert.deepEqual([page.hello?.mode, page.hello?.controls], ["watch", []]);
    assert.deepEqual(
      page.hello?.scripts.map(({ name, sha }) => [name, sha]),
      [["set", SET.sha]],
    );
    assert.deepEqual(
      serversOf(page).map(({ name, scripts }) => [name, scripts]),
      ["A", "A1", "B", "B1", "C", "C1"].map((name) => [name, { [SET.sha]: false }]),
    );
  });

  it("asks the servers for what they know, and for nothing else", async () => {
    // By now every slot has had its turn.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    for (const address of local.nodes) {
      const stats = String(await local.command(address, "INFO", "commandstats"));
      const asked = [...stats.matchAll(/^cmdstat_([^:]+):/gm)].map(([, name = ""]) => name);
      const others = asked.filter((name) => !MAY_ASK.test(name));
      // These are of this test, and of the servers among themselves.
      assert.deepEqual(
        others.filter((name) => !/^(config\|resetstat|replconf|psync)$/.test(name)),
        [],
        address,
      );
      assert.ok(asked.includes("cluster|nodes") && asked.includes("script|exists"), asked.join());
    }
    assert.ok(
      serversOf(page).every(({ scripts }) => scripts[SET.sha] === false),
      "no script was loaded",
    );
    assert.deepEqual(
      await Promise.all(local.nodes.map((address) => local.command(address, "DBSIZE"))),
      local.nodes.map(() => 0),
    );
  });

  it("does nothing that is posted", async () => {
    assert.match(JSON.stringify(await perform(url, { name: "flush" })), /only watches; it changes nothing/);
    const headers = { "Content-Type": "application/json" };
    assert.equal((await ask(`${url}do`, { method: "POST", headers, body: '{"name":"flush"}' })).status, 403);
  });

  it("shows what others change: scripts, keys, half-moved slots", async () => {
    const [first = ""] = local.nodes;
    await local.command(first, "SCRIPT", "LOAD", SET.source);
    await eventually(() =>
      assert.equal(serversOf(page).find(({ address }) => address === first)?.scripts[SET.sha], true),
    );
    const [to] = serversOf(page).filter(({ role, address }) => role === "primary" && address !== first);
    const from = serversOf(page).find(({ address }) => address === first);
    const slot = from?.slots[0]?.start ?? -1;
    await local.command(to?.address ?? "", "CLUSTER", "SETSLOT", slot, "IMPORTING", from?.id ?? "");
    await local.command(first, "CLUSTER", "SETSLOT", slot, "MIGRATING", to?.id ?? "");
    await eventually(() =>
      assert.deepEqual(serversOf(page).find(({ address }) => address === first)?.open, [
        { slot, kind: "migrating", peer: to?.name },
      ]),
    );
    for (const address of [first, to?.address ?? ""])
      await local.command(address, "CLUSTER", "SETSLOT", slot, "STABLE");
    await eventually(() =>
      assert.deepEqual(
        serversOf(page).flatMap(({ open }) => open),
        [],
      ),
    );
  });

  it("goes on when nodes die and join, and names the new one", async () => {
    const dead = serversOf(page).find(({ name }) => name === "A");
    await local.kill(dead?.address ?? "");
    await eventually(() => {
      const nodes = serversOf(page);
      assert.notEqual(nodes.find(({ name }) => name === "A")?.error, null);
      assert.equal(nodes.find(({ name }) => name === "A1")?.role, "primary");
    }, 30_000);
    const added = await local.addNode();
    await eventually(() => assert.equal(serversOf(page).find(({ address }) => address === added)?.name, "D"));
    assert.equal(watching.err, "");
  });

  it("goes on while browsers come, reload and vanish", async () => {
    for (let each = 0; each < 20; each++) {
      const other = new PageClient(url);
      await eventually(() => assert.ok(serversOf(other).length > 5));
      other.close();
    }
    const late = new PageClient(url);
    await eventually(() => assert.deepEqual(serversOf(late), serversOf(page)));
    late.close();
  });

  it("ends by Ctrl-C while a page listens", async () => {
    watching.child.kill("SIGINT");
    assert.deepEqual(await watching.exited, [0, null]);
    assert.equal(watching.err, "");
    await assert.rejects(ask(url), /ECONNREFUSED/);
  });

  it("says its address in JSON, on the port that was asked for", async () => {
    const port = new URL(url).port;
    const other = new Started("watch", ...optionsFor(local, folder), "--web-port", port, "--json");
    const { web } = JSON.parse(await other.line());
    assert.equal(new URL(web).port, port);
    const taken = await slotwire(["watch", ...optionsFor(local, folder), "--web-port", port]);
    assert.deepEqual([taken.status, taken.out], [1, ""]);
    assert.match(taken.err, new RegExp(`^slotwire: port ${port} cannot be used for the page: EADDRINUSE\\.\n$`));
    other.child.kill("SIGTERM");
    assert.deepEqual(await other.exited, [0, null]);
  });

  it("says in one line what it cannot do", async () => {
    for (const [args, message] of [
      [["watch", "-p", "1"], /^slotwire: .*127\.0\.0\.1:1.*ECONNREFUSED.*\n$/],
      [["watch", "word"], /^slotwire: watch is given a word that is no option; accepted are only options\.\n$/],
      [
        ["watch", "--web-port", "65536"],
        /^slotwire: --web-port is "65536"; accepted is a whole number from 0 to 65535\.\n$/,
      ],
      [["watch", "--scripts", join(folder, "none")], /^slotwire: .*none.*\n$/],
      [["cluster", "--web-port", "1"], /^slotwire: --web-port needs --web\.\n$/],
      [["cluster", "--scripts", folder], /^slotwire: --scripts needs --web\.\n$/],
    ] as const) {
      const { status, out, err } = await slotwire(args);
      assert.deepEqual([status, out], [1, ""], args.join(" "));
      assert.match(err, message);
    }
  });
});

describe("slotwire cluster --web", () => {
  it("has a page and a shell at once, and leaves nothing when it ends", async () => {
    const started = new Started("cluster", "--web", "--json", "--scripts", folder, "--replicas", "0");
    const greeting = JSON.parse(await started.line());
    const page = new PageClient(greeting.web);
    await eventually(() => assert.equal(serversOf(page).length, 3));
    const tell = async (line: string) => {
      started.child.stdin?.write(`${line}\n`);
      return JSON.parse(await started.line());
    };
    const done = await perform(greeting.web, { name: "call", script: "set", keys: ["k"], args: ["v"] });
    assert.equal(done.ok, true, JSON.stringify(done));
    assert.equal((await tell("explain GET k")).reply, "v");
    await eventually(() =>
      assert.ok(
        page.events.some((event) => event.type === "call" && event.command === "GET"),
        "the shell's call",
      ),
    );
    await tell("flush");
    await eventually(() =>
      assert.ok(
        page.events.some((event) => event.type === "action" && event.name === "flush"),
        "what the shell did",
      ),
    );
    await eventually(() =>
      assert.ok(
        serversOf(page).every(({ scripts }) => scripts[SET.sha] === false),
        "the dots are out",
      ),
    );
    const bytes = JSON.stringify(page.events.filter(({ type }) => type === "bytes"));
    assert.doesNotMatch(
      bytes,
      /\\nv\\r/,
      "arguments are hidden from the page, although the shell's explain may show them",
    );

    assert.equal((await perform(greeting.web, { name: "load", calls: 500 })).ok, true);
    await eventually(() => assert.ok(page.rates.some(({ calls }) => calls > 100)));
    // A call that waits for its time does not delay the end.
    const [node] = greeting.nodes as string[];
    await perform(greeting.web, { name: "freeze", node });
    const waiting = perform(greeting.web, { name: "call", command: ["DBSIZE"], timeout: 60_000 }).catch(
      () => undefined,
    );
    started.child.kill("SIGINT");
    assert.deepEqual(await started.exited, [0, null]);
    await waiting;
    page.close();
    assert.equal(started.err, "");
    for (const pid of Object.values(greeting.pids as Record<string, number>)) {
      await eventually(() => assert.throws(() => process.kill(pid, 0), /ESRCH/));
    }
  });
});
