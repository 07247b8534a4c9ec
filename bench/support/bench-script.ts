/** The text that fills a script up to its size. */
export type Filling = "code" | "comment";

/**
 * A script of exactly `bytes` bytes that makes one write and has one short reply. The rest is either real code in a
 * branch that is not taken, which the server has to compile, or a comment, which the server only has to read and hash.
 */
export function sourceOf(bytes: number, filling: Filling = "code"): string {
  const work = "redis.call('set', KEYS[1], ARGV[1]) return 1";
  if (filling === "comment") return `--${"x".repeat(Math.max(0, bytes - work.length - 3))}\n${work}`;
  let body = "";
  const [start, end] = ["if ARGV[1] == 'never' then ", "end "];
  for (let line = 0; ; line++) {
    const next = `if redis.call('get', KEYS[1]) == 'x${line}' then return ${line} end `;
    if (start.length + body.length + next.length + end.length + work.length > bytes) break;
    body += next;
  }
  return ((body === "" ? "" : start + body + end) + work).padEnd(bytes, " ");
}
