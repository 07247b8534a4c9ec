import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";

/**
 * A process that outlives us by a moment: when this process ends, in whatever way, it ends the processes that it was told of
 * and removes the folders.
 */
export class Guard {
  readonly #folders: readonly string[];
  readonly #process: ChildProcess;
  readonly #pids = new Set<number>();

  constructor(...folders: readonly string[]) {
    this.#folders = folders;
    // Reads lines of process ids, of which the last counts, until our end of the pipe closes. Ctrl-C reaches it as well and
    // must not end it early.
    const script = `trap '' INT TERM HUP; pids=; while read -r line; do pids=$line; done; kill -9 $pids 2>/dev/null; rm -rf "$@"`;
    this.#process = spawn("/bin/sh", ["-c", script, "slotwire-guard", ...folders], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#process.unref();
    this.#process.on("error", () => {});
    this.#process.stdin?.on("error", () => {});
    (this.#process.stdin as unknown as { unref(): void }).unref();
  }

  /** Ends `child` too, unless that has ended by itself: by then its id may be another's. */
  watch(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return;
    this.#pids.add(pid);
    this.#tell();
    child.once("exit", () => {
      this.#pids.delete(pid);
      this.#tell();
    });
  }

  /** Ends what is left, and itself. */
  async release(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      if (this.#process.exitCode !== null) resolve();
      else this.#process.once("exit", () => resolve());
    });
    this.#process.ref();
    this.#process.stdin?.end();
    await ended;
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }

  #tell(): void {
    if (this.#process.stdin?.writable) this.#process.stdin.write(`${[...this.#pids].join(" ")}\n`);
  }
}
