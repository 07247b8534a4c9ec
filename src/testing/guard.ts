import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";

/**
 * A helper process that outlives this process by a moment. When this process ends, in whatever way, the guard kills the
 * processes that it was told to watch, and removes the folders.
 */
export class Guard {
  readonly #folders: readonly string[];
  readonly #process: ChildProcess;
  readonly #pids = new Set<number>();

  constructor(...folders: readonly string[]) {
    this.#folders = folders;
    // The script reads lines of process ids until our end of the pipe closes; the last line counts. Ctrl-C reaches the
    // script too, so it ignores the signal in order not to end early.
    const script = `trap '' INT TERM HUP; pids=; while read -r line; do pids=$line; done; kill -9 $pids 2>/dev/null; rm -rf "$@"`;
    this.#process = spawn("/bin/sh", ["-c", script, "slotwire-guard", ...folders], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#process.unref();
    this.#process.on("error", () => {});
    this.#process.stdin?.on("error", () => {});
    // Node's pipe is a socket, which keeps this process alive. Bun's is a stream that does not, and has no `unref`.
    (this.#process.stdin as unknown as { unref?(): void }).unref?.();
  }

  /** Makes the guard kill `child`, until `child` has ended by itself; its id may then belong to another process. */
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

  /** Kills the processes that still run, removes the folders, and ends the guard. */
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
