import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Each answer of a process, and its start, are there within this time. */
const TIMEOUT_MS = 120_000;

/** A process of its own that answers requests, one at a time. In between it waits. Its program calls `answerRequests`. */
export class AskedProcess<Request extends object, Answer> {
  readonly name: string;
  readonly #child: ChildProcess;
  #said = "";
  #ended: Error | undefined;
  #hear: { resolve(answer: unknown): void; reject(error: Error): void } | undefined;

  private constructor(name: string, file: string, args: readonly string[]) {
    this.name = name;
    this.#child = fork(file, args, { execArgv: ["--import", "tsx"], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-4000);
    });
    this.#child.on("message", (message) => this.#hear?.resolve(message));
    this.#child.on("error", (error) => this.#fail(error));
    this.#child.on("close", (status, signal) => {
      const error = /^\w*Error.*$/m.exec(this.#said)?.[0];
      this.#fail(new Error(`The process of "${name}" ended (${signal ?? status})${error ? `: ${error}` : ""}.`));
    });
  }

  /**
   * Resolves when the process is ready.
   * @param name    For errors.
   * @param worker  The file of its program.
   * @param args    The words that it is given.
   */
  static async start<Request extends object, Answer>(
    name: string,
    worker: URL,
    args: readonly string[],
  ): Promise<AskedProcess<Request, Answer>> {
    const started = new AskedProcess<Request, Answer>(name, fileURLToPath(worker), args);
    await started.#next();
    return started;
  }

  ask(request: Request): Promise<Answer> {
    const next = this.#next();
    this.#child.send(request);
    return next as Promise<Answer>;
  }

  end(): void {
    this.#hear = undefined;
    if (this.#ended === undefined) this.#child.kill("SIGKILL");
  }

  /** The next message of the process. */
  async #next(): Promise<unknown> {
    if (this.#ended !== undefined) throw this.#ended;
    const late = setTimeout(() => this.#child.kill("SIGKILL"), TIMEOUT_MS);
    try {
      return await new Promise((resolve, reject) => {
        this.#hear = { resolve, reject };
      });
    } finally {
      clearTimeout(late);
    }
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    this.#hear?.reject(this.#ended);
  }
}

/** Answers what `AskedProcess` asks, until that process ends. An error ends this process. */
export function answerRequests<Request, Answer>(answer: (request: Request) => Promise<Answer>): void {
  const send = (message: Answer | "ready") => process.send?.(message);
  process.on("disconnect", () => process.exit());
  process.on("message", (request) => {
    answer(request as Request).then(send, (error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  });
  send("ready");
}
