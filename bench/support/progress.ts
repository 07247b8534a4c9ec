/** A progress bar on standard error. Shows nothing if standard error is no terminal. */
export class Progress {
  readonly #steps: number;
  readonly #started = performance.now();
  #done = -1;

  constructor(steps: number) {
    this.#steps = steps;
  }

  /** Notes that the next step begins. */
  step(what: string): void {
    this.at(this.#done + 1, what);
  }

  /** Notes that so many steps are done, and what is under way. */
  at(done: number, what: string): void {
    this.#done = done;
    const width = 24;
    const filled = Math.round((this.#done / this.#steps) * width);
    const seconds = Math.round((performance.now() - this.#started) / 1000);
    this.#draw(`[${"#".repeat(filled).padEnd(width, ".")}] ${this.#done}/${this.#steps}  ${seconds} s  ${what}`);
  }

  /** Removes the bar for a line of output. The next step draws the bar again. */
  clear(): void {
    this.#draw("");
  }

  end(): void {
    this.#draw("");
  }

  #draw(line: string): void {
    if (!process.stderr.isTTY) return;
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
  }
}
