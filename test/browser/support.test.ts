import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser } from "playwright-core";
import { faultsOf, NO_BROWSER, openBrowser, openPage } from "../support/browser.ts";

describe("the checks of pages in a browser", { skip: NO_BROWSER }, () => {
  let browser: Browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser?.close());

  const lookAt = async (body: string, width = 390) => {
    const url = `data:text/html,${encodeURIComponent(`<!doctype html><html lang="en"><body>${body}`)}`;
    const { page, problems, requests, close } = await openPage(browser, url, { width });
    const faults = await faultsOf(page);
    await close();
    return { ...faults, problems, requests };
  };

  it("find nothing on a good page", async () => {
    const body = `<p>Good <b>day</b></p><svg role="img" aria-label="a drawing" width="90" height="40">
      <rect width="90" height="40" fill="#000"/><text x="5" y="20" fill="#fff">day</text></svg>`;
    assert.deepEqual(await lookAt(body), { misplaced: [], faint: [], mute: [], problems: [], requests: [] });
  });

  it("find text outside its box, over other text, too faint, and pictures without words", async () => {
    const { misplaced, faint, mute } = await lookAt(
      `<div style="width:100px"><code>abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz</code></div>
       <p style="color:#999">grey</p><div style="background:#000"><p style="opacity:.3;color:#fff">dim</p></div>
       <svg width="90" height="40"><text x="50" y="20">leaves it</text><text x="48" y="22">over</text></svg>
       <svg role="img" aria-label="b" width="90" height="40"><rect width="90" height="40" fill="#222"/><text y="20">dark</text></svg>`,
    );
    for (const [found, count] of [
      [misplaced, 4],
      [faint, 3],
      [mute, 1],
    ] as const) {
      assert.equal(found.length, count, found.join("\n"));
    }
    assert.match(misplaced.join("\n"), /px wide.*leaves its <div>.*leaves its drawing.*lie over each other/s);
    const wide = await lookAt(`<table style="width:900px"><tr><td>x</table>`);
    assert.match(wide.misplaced.join(), /the page is 9\d\d px wide/);
  });

  it("hear errors on the console and requests", async () => {
    const { problems, requests } = await lookAt(
      `<script>console.error("no")</script><img alt="" src="http://127.0.0.1:1/x.png">`,
    );
    assert.match(problems.join("\n"), /error: no/);
    assert.deepEqual(requests, ["http://127.0.0.1:1/x.png"]);
  });
});
