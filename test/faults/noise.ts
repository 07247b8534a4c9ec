/** What a library must not do to the process it is in: log, warn, or leave errors to nobody. */
export class Noise {
  readonly #heard: string[] = [];
  readonly #restore: (() => void)[] = [];

  constructor() {
    for (const event of ["uncaughtException", "unhandledRejection", "warning"]) {
      const listener = (what: unknown) => void this.#heard.push(`${event}: ${String(what)}`);
      process.on(event, listener);
      this.#restore.push(() => process.off(event, listener));
    }
    for (const stream of [process.stdout, process.stderr]) {
      const { write } = stream;
      stream.write = (text: unknown) => {
        this.#heard.push(`log: ${String(text).slice(0, 100)}`);
        return true;
      };
      this.#restore.push(() => {
        stream.write = write;
      });
    }
  }

  /** Listens no more. What was heard. */
  end(): readonly string[] {
    for (const restore of this.#restore) restore();
    return this.#heard;
  }
}
