import type { LocalActions } from "../local-actions.ts";
import type { Terminal } from "../terminal.ts";

const FIRST_MS = 300;
const NEXT_MS = 1000;

/** While `work` is under way, shows what is waited for, and for how many seconds. Short work shows nothing. */
export async function withProgress<T>(
  terminal: Terminal,
  actions: LocalActions,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  const startedAt = performance.now();
  let text = what;
  let isShown = false;
  const show = () => {
    isShown = true;
    const seconds = Math.floor((performance.now() - startedAt) / 1000);
    terminal.progress(`${text} ...${seconds === 0 ? "" : ` ${seconds} s`}`);
  };
  actions.onProgress = (news) => {
    text = news;
    if (isShown) show();
  };
  const first = setTimeout(show, FIRST_MS);
  const next = setInterval(show, NEXT_MS);
  try {
    return await work();
  } finally {
    clearTimeout(first);
    clearInterval(next);
    actions.onProgress = () => {};
    if (isShown) terminal.progress("");
  }
}
