import { setTimeout } from "node:timers/promises";
import { ExplainedCalls } from "../../bench/support/explained-calls.ts";
import type { Explained } from "../../src/cli/explanation.ts";
import type { LocalCluster } from "../../src/testing/index.ts";

/** The stories of the guide, in the order in which they happen to the cluster. */
export const STORIES = ["straight", "moved", "ask", "noscript", "lost"] as const;
export type Story = (typeof STORIES)[number];

const QUIET_MS = 1500;

/** Makes the calls of the guide, and draws each as the guide shows it: addresses have the ports 7000 and following. */
export async function explainedBlocks(cluster: LocalCluster): Promise<Map<Story, string>> {
  const calls = await ExplainedCalls.open(cluster);
  const ports = new Map(cluster.nodes.map((address, index) => [address, `127.0.0.1:${7000 + index}`]));
  const blocks = new Map<Story, string>();
  try {
    for (const story of STORIES) {
      // What the client asks the nodes after a missing script would be lost together with the call.
      if (story === "lost") await setTimeout(QUIET_MS);
      const lines = ExplainedCalls.draw(withAddresses(await calls[story](), ports));
      // The beginning of each call is that of the first one.
      const shown = story === "straight" ? lines : lines.slice(lines.indexOf("") + 1);
      blocks.set(story, shown.join("\n"));
    }
  } finally {
    calls.close();
  }
  return blocks;
}

/** Addresses are changed in front of the drawing, because their length decides where lines break. */
function withAddresses(explained: Explained, ports: ReadonlyMap<string, string>): Explained {
  let text = JSON.stringify(explained);
  for (const [address, shown] of ports) text = text.replaceAll(address, shown);
  return JSON.parse(text) as Explained;
}

const MARKED = /(<!-- explained: (\w+) -->\n```\n)([\s\S]*?)```/g;

/** The blocks of a page that show explained calls, by their stories. */
export function blocksIn(page: string): Map<string, string> {
  return new Map([...page.matchAll(MARKED)].map(([, , story = "", block = ""]) => [story, block.trimEnd()]));
}

/** The page with these blocks. */
export function withBlocks(page: string, blocks: ReadonlyMap<string, string>): string {
  return page.replace(MARKED, (whole, head: string, story: string) => {
    const block = blocks.get(story);
    return block === undefined ? whole : `${head}${block}\n\`\`\``;
  });
}

/**
 * A block without what differs from run to run and from server to server: times, how the end of a socket is noticed, what
 * the client does beside the call, which can come a moment earlier or later, and where lines break therefore.
 */
export function withoutChance(block: string): string {
  const lines = block.split("\n").filter((_, index, all) => !isBeside(all, index));
  return lines
    .join(" ")
    .replaceAll(/\s+/g, " ")
    .replaceAll(/\d+\.\d\d ms/g, "# ms")
    .replace(/\((read ECONNRESET|the server closed the connection)\)/, "(#)")
    .replace(" Please use EVAL.", "");
}

/** Whether a line is told beside the call, or goes on with such a line. */
function isBeside(lines: readonly string[], index: number): boolean {
  const line = lines[index] ?? "";
  if (/^ *[\d.]+ ms {4}· /.test(line)) return true;
  return /^ {13}\S/.test(line) && index > 0 && isBeside(lines, index - 1);
}
