/** What happened in a run, hop by hop. Off, it costs nothing: pass a function where the text has to be made. */
export class Story {
  readonly lines: string[] = [];
  readonly #isTold: boolean;
  readonly #now: () => number;

  constructor(isTold: boolean, now: () => number) {
    this.#isTold = isTold;
    this.#now = now;
  }

  tell(what: () => string): void {
    if (this.#isTold) this.lines.push(`${this.#now().toFixed(3).padStart(10)}  ${what()}`);
  }
}

/** Bytes for people: commands and replies in one short line. */
export function shown(binary: string): string {
  const text = binary.replace(/\$\d+\r\n/g, "").replace(/\r\n/g, " ");
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}... (${binary.length} bytes)` : text.trimEnd());
}
