import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { perform } from "../../src/cli/commands.ts";
import { PLAIN, type Terminal } from "../../src/cli/terminal.ts";
import { slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { faultsOf, NO_BROWSER, openBrowser, openPage } from "../support/browser.ts";
import { optionsFor } from "../support/slotwire-cli.ts";

const LOOKS = [
  { width: 1440, colorScheme: "light" },
  { width: 1440, colorScheme: "dark" },
  { width: 390, colorScheme: "light" },
  { width: 390, colorScheme: "dark" },
] as const;

describe("the page of slotwire explain --html", { skip: NO_BROWSER }, () => {
  let browser: Browser;
  let cluster: LocalCluster;
  const folder = mkdtempSync(join(tmpdir(), "slotwire-explain-"));
  before(async () => {
    [browser, cluster] = await Promise.all([openBrowser(), startCluster({ primaries: 3, replicasPerPrimary: 1 })]);
    writeFileSync(join(folder, "take.lua"), "return redis.call('set', KEYS[1], ARGV[1])");
  });
  after(async () => {
    await Promise.all([browser?.close(), cluster?.stop()]);
    rmSync(folder, { recursive: true });
  });

  /** Performs `slotwire explain --html`, and gives the page's path. */
  const explained = async (name: string, ...args: string[]): Promise<string> => {
    const file = join(folder, `${name}.html`);
    const nothing = () => {};
    const terminal: Terminal = { width: 80, paint: PLAIN, write: nothing, progress: nothing, warn: nothing };
    await perform(["explain", "--html", file, ...optionsFor(cluster, folder), ...args], terminal).catch(nothing);
    return file;
  };
  /** Looks at a page in both widths and both colour schemes, with its table open as well. */
  const look = async (file: string, check: (page: Page) => Promise<void>) => {
    assert.ok(readFileSync(file).length < 100_000, `${readFileSync(file).length} bytes`);
    for (const each of LOOKS) {
      const { page, problems, requests, close } = await openPage(browser, pathToFileURL(file).href, each);
      const where = `${file} at ${each.width} px, ${each.colorScheme}`;
      assert.deepEqual([problems, requests], [[], []], where);
      assert.deepEqual(await faultsOf(page), { misplaced: [], faint: [], mute: [] }, where);
      await page.locator("summary").click();
      assert.deepEqual(await faultsOf(page), { misplaced: [], faint: [], mute: [] }, `${where}, table open`);
      assert.equal(await page.locator("svg.ladder:visible").count(), 1, where);
      await check(page);
      await close();
    }
  };
  const arrows = (page: Page, kind: string) => page.locator(`svg.ladder:visible .k-${kind}`).count();
  const rows = (page: Page) => page.locator("table.rules >> nth=0 >> tr.lit th").allTextContents();
  const primaries = async () => {
    const ranges = (await cluster.command(cluster.nodes[0] as string, "CLUSTER", "SLOTS")) as [
      number,
      number,
      [string, number],
    ][];
    return (key: string) => {
      const isOf = ([start, end]: [number, number, ...unknown[]]) => start <= slotOf(key) && slotOf(key) <= end;
      const at = ([, , [host, port]]: [number, number, [string, number]]) => `${host}:${port}`;
      const owner = ranges.find(isOf) as (typeof ranges)[number];
      return { owner: at(owner), other: at(ranges.find((range) => range !== owner) as (typeof ranges)[number]) };
    };
  };

  it("draws MOVED and NOSCRIPT, and lights their rows", async () => {
    const { other } = (await primaries())("{job:1}:lock");
    const args = ["--from", other, "--preloaded", "--eval", join(folder, "take.lua"), "{job:1}:lock", ",", "a secret"];
    const file = await explained("moved", ...args);
    assert.ok(!readFileSync(file, "utf8").includes("a secret"), "arguments need --bytes");
    await look(file, async (page) => {
      assert.deepEqual([await arrows(page, "moved"), await arrows(page, "bad"), await arrows(page, "good")], [1, 1, 1]);
      assert.deepEqual((await rows(page)).sort(), ["moved-known", "noscript-load"]);
      assert.equal(await page.locator(".wire").count(), 6);
    });
    const shown = readFileSync(await explained("bytes", "--bytes", ...args), "utf8");
    assert.ok(shown.includes("a secret"), "--bytes shows arguments");
  });

  it("draws ASK, and TRYAGAIN until the deadline, folded", async () => {
    const { owner, other } = (await primaries())("{try}a");
    await cluster.command(owner, "SET", "{try}a", "1");
    const [from, to] = await Promise.all([owner, other].map((node) => cluster.command(node, "CLUSTER", "MYID")));
    await cluster.command(other, "CLUSTER", "SETSLOT", slotOf("{try}a"), "IMPORTING", from as string);
    await cluster.command(owner, "CLUSTER", "SETSLOT", slotOf("{try}a"), "MIGRATING", to as string);
    const [ask, again] = await Promise.all([
      explained("ask", "INCR", "{try}c"),
      explained("tryagain", "MGET", "{try}a", "{try}b"),
    ]);
    await look(ask, async (page) => {
      assert.deepEqual(
        [await arrows(page, "ask"), await arrows(page, "asking"), await arrows(page, "good"), await rows(page)],
        [1, 1, 1, ["ask-known"]],
      );
    });
    await look(again, async (page) => {
      assert.deepEqual(await rows(page), ["tryagain"]);
      assert.match(await page.locator("main").innerText(), /more attempts at [ABC] failed until/);
      assert.match(await page.locator("header").innerText(), /DEADLINE, (not-executed|unknown)/);
    });
  });

  it("draws each node's reply, and a call that was answered at once", async () => {
    await look(await explained("many", "DBSIZE"), async (page) => {
      assert.equal(await page.locator("table.replies tr").count(), 3);
      assert.equal(await arrows(page, "good"), 3);
    });
    await look(await explained("once", "SET", `key ${"very ".repeat(60)}long`, "v"), async (page) => {
      assert.deepEqual([await arrows(page, "good"), await rows(page)], [1, []]);
    });
  });

  it("draws a key, a reply and an error without a space in them", async () => {
    const word = "w".repeat(400);
    await look(await explained("reply", "GETSET", word, word), async () => {});
    await look(await explained("error", word, word), async () => {});
  });

  it("refuses a file that cannot be written before anything is called, and replaces one that exists", async () => {
    const { owner } = (await primaries())("counter");
    const file = join(folder, "nowhere", "x.html");
    const nothing = () => {};
    const terminal: Terminal = { width: 80, paint: PLAIN, write: nothing, progress: nothing, warn: nothing };
    const call = (path: string) =>
      perform(["explain", "--html", path, ...optionsFor(cluster, folder), "INCR", "counter"], terminal);
    await assert.rejects(
      call(file),
      /^InvalidArgumentError: --html ".*nowhere.*" cannot be written \(ENOENT\); accepted is the path/,
    );
    assert.equal(await cluster.command(owner, "GET", "counter"), null);
    await assert.rejects(call(folder), /cannot be written \(EISDIR\)/);
    const free = join(folder, "free.html");
    await assert.rejects(perform(["explain", "--html", free, "-p", "1", "PING"], terminal), /ECONNREFUSED/);
    assert.equal(existsSync(free), false, "a look at the place leaves no file behind");
    writeFileSync(free, "old");
    await call(free);
    assert.match(readFileSync(free, "utf8"), /^<!doctype html>[\s\S]*INCR, slot/);
    assert.equal(await cluster.command(owner, "GET", "counter"), "1");
  });
});
