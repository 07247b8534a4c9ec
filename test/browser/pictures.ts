import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import UPNG from "upng-js";
import { NO_BROWSER, openBrowser, openPage } from "../support/browser.ts";
import { startLivePage } from "../support/live-page.ts";

/*
 * npm run pictures: makes the pictures that README.md shows, light and dark. Of the live page, from a real cluster: a slot
 * is half-moved, another one has gone to a new owner, and all scripts are flushed, so the call meets MOVED and NOSCRIPT. Of
 * the benchmark: the answer and the picture of ratios, from the page of the newest run in bench/results.
 */

const FOLDER = fileURLToPath(new URL("../../src/pictures/", import.meta.url));
const MOST_BYTES = 150_000;
const RESULTS = new URL("../../bench/results/", import.meta.url);
const BENCH = { width: 1000, height: 1400 };
const LOOK = { width: 1440, height: 1240 };
const KEYS = 260;
const COLOURS = 256;

if (NO_BROWSER) throw new Error(NO_BROWSER);
const live = await startLivePage();
const browser = await openBrowser();
try {
  await prepare();
  mkdirSync(FOLDER, { recursive: true });
  for (const colorScheme of ["light", "dark"] as const) {
    const { page, close } = await openPage(browser, live.url, { ...LOOK, colorScheme });
    await stepToTheDecision(page);
    save(`live-page-${colorScheme}.png`, await page.screenshot());
    await close();
    const bench = await openPage(browser, newestRun(), { ...BENCH, colorScheme });
    save(`benchmark-${colorScheme}.png`, await answerOf(bench.page));
    await bench.close();
  }
} finally {
  await browser.close();
  await live.stop();
}

function newestRun(): string {
  const runs = readdirSync(RESULTS).filter((name) => name.endsWith("-evalsha-vs-eval.html"));
  const newest = runs.sort().at(-1);
  if (newest === undefined) throw new Error("There is no run in bench/results.");
  return new URL(newest, RESULTS).href;
}

/** The page from its top to the end of its first chart. */
async function answerOf(page: Page): Promise<Buffer> {
  const chart = await page.locator("figure.rows").first().boundingBox();
  if (chart === null) throw new Error("The newest run in bench/results has no picture of ratios.");
  const height = Math.ceil(chart.y + chart.height + 12);
  return page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width: BENCH.width, height } });
}

function save(file: string, screenshot: Buffer): void {
  const picture = withFewColours(screenshot);
  if (picture.length > MOST_BYTES)
    throw new Error(`${file} has ${picture.length} bytes; at most ${MOST_BYTES} are accepted.`);
  writeFileSync(FOLDER + file, picture);
  console.log(`src/pictures/${file}: ${Math.round(picture.length / 1000)} kB`);
}

/** The same picture with a palette, which halves its size. */
function withFewColours(png: Buffer): Buffer {
  const { buffer, byteOffset, byteLength } = png;
  const image = UPNG.decode(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
  return Buffer.from(UPNG.encode(UPNG.toRGBA8(image), image.width, image.height, COLOURS));
}

async function prepare(): Promise<void> {
  for (let key = 0; key < KEYS; key++) await perform({ name: "call", command: ["SET", `user:${key}`, "1"] });
  const { page, close } = await openPage(browser, live.url, LOOK);
  const use = async (key: string) => {
    await page.locator("#key").fill(key);
    await page.waitForFunction((text) => document.getElementById("key-slot")?.textContent?.startsWith(text), key);
  };
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  await use("{cart:7}:count");
  await press("Half-move");
  await page.locator("#nodes .half").waitFor();
  await use("{job:1}:lock");
  await press("Whole slot");
  await page.locator("#key-slot").getByText("the client still asks").waitFor();
  await press("Flush scripts");
  await page.waitForFunction(() => document.querySelectorAll("#scripts .dot.missing[role=img]").length === 6);
  await press("Call");
  await page.waitForFunction(() => /3 attempts/.test(document.getElementById("call-title")?.textContent ?? ""));
  await close();
}

async function stepToTheDecision(page: Page): Promise<void> {
  await page.waitForFunction(() => /3 attempts/.test(document.getElementById("call-title")?.textContent ?? ""));
  for (let back = 0; back < 3; back++) await page.getByRole("button", { name: "Step back" }).click();
  await page.locator("h1").click();
  await page.waitForTimeout(500);
}

async function perform(what: Record<string, unknown>): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${live.url}do`, { method: "POST", headers, body: JSON.stringify(what) });
  const { ok, error } = (await answer.json()) as { ok: boolean; error?: string };
  if (!ok) throw new Error(error);
}
