import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { faultsOf, NO_BROWSER, openBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { type LivePage, startLivePage, startPage } from "../support/live-page.ts";
import { scriptFolder } from "../support/script-folder.ts";

/** Waits in the page are generous, because the machine may be busy with other things. */
const PATIENCE_MS = 40_000;

/** The lessons in the order of their keys, and the right answer to each: the servers' ledger decides. */
const LESSONS_BY_KEYBOARD = [
  ["MOVED", 0],
  ["ASK", 0],
  ["TRYAGAIN", 1],
  ["NOSCRIPT", 1],
  ["failover", 1],
  ["a lost reply", 0],
] as const;

describe("the live page", { skip: NO_BROWSER }, () => {
  let browser: Browser;
  let live: LivePage;
  let watched: WatchedPage;
  let page: Page;

  before(async () => {
    [browser, live] = await Promise.all([openBrowser(), startLivePage()]);
    watched = await openPage(browser, live.url, { width: 1440, height: 1000 });
    page = watched.page;
    page.setDefaultTimeout(PATIENCE_MS);
    await page.getByText("all 16,384 slots served").waitFor();
  });
  after(async () => {
    await browser?.close();
    await live?.stop();
  });

  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const useKey = (key: string) => page.locator("#key").fill(key);
  /** The name of the owner of the key's slot, by the servers' word. */
  const owner = async () => (await page.locator("#key-slot .chip").first().textContent()) ?? "";
  const slot = async () => Number(await page.locator("#key-slot b").first().textContent());
  /** Makes a call with the key, and waits until the page shows the end of it. */
  const call = async () => {
    const before = await page.locator("#call-title").textContent();
    await press("Call");
    await page.waitForFunction((old) => {
      const title = document.getElementById("call-title")?.textContent ?? "";
      return title !== old && !title.includes("under way");
    }, before);
  };
  const steps = async () => {
    const [, now, all] = /step (\d+) of (\d+)/.exec((await page.locator("#player").textContent()) ?? "") ?? [];
    return { now: Number(now), all: Number(all) };
  };
  const dots = (state: string) => page.locator(`#scripts .dot.${state}[role="img"]`).count();
  const faultless = async () => {
    assert.deepEqual(await faultsOf(page), { misplaced: [], faint: [], mute: [] });
  };

  it("explains the slot of a key, and rings it", async () => {
    await useKey("{job:1}:lock");
    const said = page.locator("#key-slot");
    await said.getByText("11113").waitFor();
    assert.match(
      (await said.textContent()) ?? "",
      /CRC16 60265, modulo 16,384 = slot 11113, by its hash tag, served by C/,
    );
    assert.equal(await said.locator("u").textContent(), "job:1");
    assert.equal(await page.locator('[name="slot"]').inputValue(), "11113");
  });

  it("shows one ASK, the row that decided, and the slot in two hues after a half-move and a call", async () => {
    await useKey("{half}:count");
    const from = await owner();
    const number = await slot();
    await press("Half-move");
    await page.locator("#nodes .half").getByText(`slot ${number} is half-way`).waitFor();
    await call();
    const arrows = page.locator("#ladder [data-kind]");
    const kinds = await arrows.evaluateAll((all) => all.map((each) => each.getAttribute("data-kind")));
    assert.deepEqual(kinds, ["sent", "ASK", "decided", "sent", "reply"]);
    assert.equal(await page.locator("#ladder .k-ask .hop").count(), 1, "one arrow is an ASK");
    assert.match((await page.locator("#ladder").textContent()) ?? "", /ASKING \+ EVALSHA/);
    assert.equal(await page.locator("#decision tr.lit th").textContent(), "ask-known");
    assert.equal(await page.locator('#decision [aria-current="true"]').getAttribute("data-row"), "ask-known");
    assert.match((await page.locator("#decision-title").textContent()) ?? "", /src\/routing\/next-step-rows\.ts:\d+/);
    assert.match(
      (await page.locator("#timeline").textContent()) ?? "",
      new RegExp(`count, slot ${number}: ${from} ASK, `),
    );
    const { left, right, hues } = await discAt(page, number);
    assert.notDeepEqual(left, right, "the halves differ");
    const [one, other] = [hues[from], hues[await page.locator('[name="to"]').inputValue()]];
    assert.deepEqual([left, right], [one, other]);
    assert.match((await page.locator("#map").getAttribute("aria-label")) ?? "", new RegExp(`Half-moved: ${number}`));
    await press("Settle");
    await page.locator("#nodes .half").waitFor({ state: "detached" });
    await faultless();
  });

  it("steps through the call forwards and back, and plays it", async () => {
    const { all } = await steps();
    assert.equal(all, 6);
    await press("First step");
    assert.deepEqual(await steps(), { now: 1, all });
    assert.match((await page.locator("#sentence").textContent()) ?? "", /^Attempt 1: the client writes EVALSHA/);
    assert.match((await page.locator("#wire").textContent()) ?? "", /EVALSHA\\r\\n.*<\d+ bytes?>/s);
    assert.equal((await page.locator("#ladder .later").count()) > 0, true, "what comes later is faint");
    await faultless();
    await press("Step forwards");
    assert.match((await page.locator("#sentence").textContent()) ?? "", /answers ASK: .* Nothing ran/);
    assert.match((await page.locator("#wire").textContent()) ?? "", /-ASK \d+/);
    await press("Step back");
    assert.deepEqual(await steps(), { now: 1, all });
    await press("Play at a thousandth of the speed");
    await page.waitForFunction(() => /step 6 of 6/.test(document.getElementById("player")?.textContent ?? ""));
    await faultless();
  });

  it("redacts arguments unless it is asked to show them", async () => {
    await useKey("{wire}:secret-part");
    await call();
    assert.doesNotMatch((await page.locator("#wire").textContent()) ?? "", /secret-part/);
    await page.getByLabel("show arguments and replies from now on").check();
    await page.getByText("arguments and replies are shown from now on").waitFor();
    await call();
    assert.match((await page.locator("#wire").textContent()) ?? "", /secret-part/);
    const later = await openPage(browser, live.url, { width: 1440 });
    await later.page.getByText("all 16,384 slots served").waitFor();
    assert.equal(await later.page.getByLabel("show arguments and replies from now on").isChecked(), true);
    await later.close();
    await page.getByLabel("show arguments and replies from now on").uncheck();
    await page.getByText("arguments and replies are hidden from now on").waitFor();
  });

  it("shows dots that go out at a flush, and come back at the audit", async () => {
    await page.waitForFunction(() => document.querySelectorAll("#scripts .dot.known[role=img]").length === 6);
    await press("Flush scripts");
    await page.waitForFunction(() => document.querySelectorAll("#scripts .dot.missing[role=img]").length === 6);
    await useKey("{flush}:count");
    await call();
    assert.equal(await page.locator("#decision tr.lit th").textContent(), "noscript-load");
    await page.waitForFunction(() => document.querySelectorAll("#scripts .dot.known[role=img]").length === 6);
    assert.equal(await dots("missing"), 0);
    assert.match((await page.locator("#scripts").textContent()) ?? "", /the audit/);
    assert.match((await page.locator("#timeline").textContent()) ?? "", /forgot count/);
  });

  it("goes back to a moment, and to now again", async () => {
    await page.locator("#timeline button", { hasText: "is half-way from" }).first().click();
    await page.locator("#nodes .half").waitFor();
    await page.getByText(/are shown as they were at/).waitFor();
    await press("Back to now");
    await page.locator("#nodes .half").waitFor({ state: "detached" });
  });

  it("refuses whoever does not know the token, and other sites", async () => {
    const { origin, pathname } = new URL(live.url);
    const elsewhere = pathname.replace(/[0-9a-f]/g, (digit) => (digit === "0" ? "1" : "0"));
    assert.equal((await fetch(origin + elsewhere)).status, 404);
    assert.equal((await fetch(`${origin}${elsewhere}events`)).status, 404);
    const flush = { method: "POST", body: '{"name":"flush"}', headers: { "Content-Type": "application/json" } };
    assert.equal((await fetch(`${origin}${elsewhere}do`, flush)).status, 404);
    const foreign = { ...flush, headers: { ...flush.headers, Origin: "http://example.org" } };
    assert.equal((await fetch(`${live.url}do`, foreign)).status, 403);
    // A page of another origin, in a real browser: the request is refused, and what it asks for is not done.
    const other = await openPage(browser, "data:text/html,<p>another site</p>", { width: 400 });
    const answer = await other.page.evaluate(
      (url) =>
        fetch(`${url}do`, { method: "POST", body: '{"name":"flush"}' }).then(
          ({ status }) => status,
          () => "refused",
        ),
      live.url,
    );
    assert.equal(answer, "refused");
    await other.close();
  });

  it("watches a cluster: the servers, the scripts that are asked for, and nothing that needs calls", async (context) => {
    const port = (await page.locator("#nodes tr[data-node='A'] td").first().textContent())?.slice(1) ?? "";
    const folder = scriptFolder({ "quietly.lua": "return 'never called'" });
    const watching = await startPage("watch", "-p", port, "--scripts", folder);
    context.after(() => watching.stop());
    for (const width of [1440, 390]) {
      const watch = await openPage(browser, watching.url, { width });
      watch.page.setDefaultTimeout(PATIENCE_MS);
      await watch.page.getByText("all 16,384 slots served").waitFor();
      await watch.page.getByRole("img", { name: "A does not know quietly" }).waitFor();
      for (const id of ["call", "decision", "wire", "controls", "lessons"]) {
        assert.equal(await watch.page.locator(`#${id}`).isVisible(), false, id);
      }
      assert.doesNotMatch(await watch.page.locator("body").innerText(), /make a call/i);
      assert.deepEqual(await faultsOf(watch.page), { misplaced: [], faint: [], mute: [] }, `${width} px`);
      assert.deepEqual(watch.problems, []);
      await watch.close();
    }
  });

  it("calls a script that has the name of a command, or looks like one", async (context) => {
    const folder = scriptFolder({ "LOCK.lua": "return 'locked'", "GET.lua": "return 'by the script'" });
    const other = await startPage("cluster", "--web", "--replicas", "0", "--scripts", folder);
    context.after(() => other.stop());
    const calling = await openPage(browser, other.url, { width: 1440 });
    calling.page.setDefaultTimeout(PATIENCE_MS);
    await calling.page.getByText("all 16,384 slots served").waitFor();
    for (const [name, reply] of [
      ["LOCK", '"locked"'],
      ["GET", '"by the script"'],
    ] as const) {
      await calling.page.locator('[name="script"]').selectOption(name);
      await calling.page.getByRole("button", { name: "Call", exact: true }).click();
      await calling.page.locator("#said").getByText(reply).waitFor();
    }
    await calling.close();
  });

  for (const [number, [title, choice]] of LESSONS_BY_KEYBOARD.entries()) {
    it(`teaches ${title} by keyboard alone`, async () => {
      await page.locator("h1").click();
      await page.keyboard.press(`${number + 1}`);
      for (let step = 0; step < 3; step++) {
        const button = page.locator(`#lessons [data-step="${step}"]`);
        await page.waitForFunction((at) => document.activeElement?.matches(`[data-step="${at}"]:enabled`), step);
        assert.notEqual(
          await button.evaluate((at) => getComputedStyle(at).outlineStyle),
          "none",
          "the focus is visible",
        );
        await page.keyboard.press("Enter");
      }
      await page.waitForFunction(() => document.activeElement?.matches('[data-choice="0"]'));
      for (let at = 0; at < choice; at++) await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      const ledger = page.locator(".ledger");
      await ledger.waitFor();
      assert.match((await ledger.textContent()) ?? "", /^Right\. The servers count \d/);
      await faultless();
    });
  }

  it("tells a failover from the silence to the promotion, and what the client did", async () => {
    const story = page.locator("#timeline li.failover").first();
    await story.getByText(/is promoted after/).waitFor();
    const told = (await story.textContent()) ?? "";
    const order = [
      /is silent/,
      /suspects? \w+: PFAIL/,
      /is down: FAIL/,
      /wins with epoch \d+/,
      /is promoted: it serves/,
    ];
    // The page looks at the servers every so often: suspicions that are a majority's by the next look are never seen alone.
    const seen = order.filter((pattern) => pattern !== order[1] || pattern.test(told));
    const at = seen.map((pattern) => told.slice(told.indexOf("+")).search(pattern));
    assert.ok(!at.includes(-1), told);
    assert.deepEqual(
      at,
      at.toSorted((a, b) => a - b),
      told,
    );
    assert.match(told, /the client: \d+ (refused or lost attempt|tr(y|ies) to connect)/);
    assert.match(told, /call \d+: \d+ attempts?, answered by \w+ after/);
  });

  it("can be read at 1440 and 390 px, light and dark, without text outside its box", async () => {
    for (const width of [1440, 390]) {
      for (const colorScheme of ["light", "dark"] as const) {
        const look = await openPage(browser, live.url, { width, colorScheme });
        await look.page.locator("#timeline button").first().waitFor();
        await look.page.locator("#nodes tr").nth(3).waitFor();
        assert.deepEqual(
          await faultsOf(look.page),
          { misplaced: [], faint: [], mute: [] },
          `${width} px, ${colorScheme}`,
        );
        if (width === 390) {
          await look.page.getByRole("button", { name: "Controls", exact: true }).click();
          await look.page.getByRole("button", { name: "2 ASK" }).click();
          assert.deepEqual(await faultsOf(look.page), { misplaced: [], faint: [], mute: [] }, `${width} px, unfolded`);
        }
        assert.deepEqual(look.problems, []);
        await look.close();
      }
    }
  });

  it("reaches every control by Tab, in the order of the page, and lists its keys", async () => {
    await page.locator("h1").click();
    await page.keyboard.press("?");
    await page.getByText("Single keys are on").waitFor();
    await page.keyboard.press("Escape");
    const wanted = await page.evaluate(() => {
      const all = [
        ...document.querySelectorAll<HTMLElement>("a[href], button, input, select, canvas, summary, [tabindex]"),
      ];
      return all.filter((at) => at.tabIndex >= 0 && at.checkVisibility() && !at.hasAttribute("disabled")).length;
    });
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    const reached = new Set<string>();
    let isOrdered = true;
    for (let tab = 0; tab < wanted + 2; tab++) {
      await page.keyboard.press("Tab");
      const { place, follows } = await page.evaluate(() => {
        const at = document.activeElement as HTMLElement;
        const scope = window as unknown as { last?: Element };
        const last = scope.last;
        scope.last = at;
        const follows =
          last === undefined ||
          at === document.body ||
          last === document.body ||
          (last.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0 ||
          at.matches(".skip");
        return { place: [...document.querySelectorAll("*")].indexOf(at), follows };
      });
      reached.add(String(place));
      isOrdered &&= follows;
    }
    assert.ok(reached.size >= wanted, `${reached.size} of ${wanted} controls were reached`);
    assert.equal(isOrdered, true);
  });

  it("has asked nobody but its own server, without an error", () => {
    assert.deepEqual(watched.problems, []);
    const { host } = new URL(live.url);
    assert.deepEqual(
      watched.requests.filter((url) => !url.startsWith("data:") && new URL(url).host !== host),
      [],
    );
  });
});

/** The colours of both halves of a slot's disc on the canvas, and the hues of the primaries. */
async function discAt(page: Page, slot: number) {
  const [left = "", right = "", ...hues] = await page.evaluate((at) => {
    const canvas = document.getElementById("map") as HTMLCanvasElement;
    const cell = canvas.width / 128;
    const context = canvas.getContext("2d") as CanvasRenderingContext2D;
    const [x, y] = [((at % 128) + 0.5) * cell, (Math.floor(at / 128) + 0.5) * cell];
    const style = getComputedStyle(document.documentElement);
    const { data } = context.getImageData(x - 6, y, 13, 1);
    return [
      ...[0, 12].map((pixel) => {
        const parts = [...data.slice(pixel * 4, pixel * 4 + 3)];
        return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
      }),
      ...[0, 1, 2].map((index) => style.getPropertyValue(`--n${index}`).trim()),
    ];
  }, slot);
  return { left, right, hues: { A: hues[0], B: hues[1], C: hues[2] } as Record<string, string | undefined> };
}
