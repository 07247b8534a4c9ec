import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

/*
 * A real browser for tests: the Chromium or Chrome that is installed. On Debian and Ubuntu `apt-get install chromium`
 * installs one. Without a browser the tests are skipped, and say so: give `describe` the option `{ skip: NO_BROWSER }`.
 */

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const PROGRAM = process.env.CHROME_PATH ?? onPath();

/** Why tests in a browser are skipped; false if there is a browser. */
export const NO_BROWSER: string | false =
  PROGRAM === undefined && `no browser: none of ${NAMES.join(", ")} is on PATH, and CHROME_PATH names none`;

function onPath(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function openBrowser(): Promise<Browser> {
  if (PROGRAM === undefined) throw new Error(NO_BROWSER as string);
  return chromium.launch({ executablePath: PROGRAM, args: ["--disable-dev-shm-usage"] });
}

/** How a page is looked at. */
export interface Look {
  readonly width: number;
  /** @default 900 */
  readonly height?: number;
  /** @default "light" */
  readonly colorScheme?: "light" | "dark";
}

/** A page, and what it did that no page may do. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings on the console, exceptions, and requests that failed. */
  readonly problems: string[];
  /** The URLs of all requests, without that of the page itself. */
  readonly requests: string[];
  close(): Promise<void>;
}

/** Opens `url` in a context of its own. */
export async function openPage(browser: Browser, url: string, look: Look): Promise<WatchedPage> {
  const { width, height = 900, colorScheme = "light" } = look;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  const problems: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`exception: ${error.message}`));
  page.on("requestfailed", (request) => problems.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  page.on("request", (request) => {
    if (request.url() !== url) requests.push(request.url());
  });
  await page.goto(url);
  return { page, problems, requests, close: () => context.close() };
}

/** What a reader of a page would stumble over, each as a sentence. The lists are empty for a good page. */
export interface Faults {
  /** Text outside its box or outside the page, and texts of a drawing that lie over each other. */
  readonly misplaced: string[];
  /** Text with a contrast of less than 4.5 to its background. */
  readonly faint: string[];
  /** Pictures and controls without a text alternative. */
  readonly mute: string[];
}

const CHECKS = readFileSync(new URL("in-page-checks.js", import.meta.url), "utf8");

/** Looks at all text that the page shows now. */
export function faultsOf(page: Page): Promise<Faults> {
  return page.evaluate(CHECKS) as Promise<Faults>;
}
