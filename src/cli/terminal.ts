/** How drawings stress something. Without colours all three change nothing. */
export interface Paint {
  strong(text: string): string;
  faint(text: string): string;
  alarm(text: string): string;
}

/** Where a command shows what it does. */
export interface Terminal {
  /** Columns of standard output. */
  readonly width: number;
  readonly paint: Paint;
  /** Writes to standard output now, ahead of the command's result. */
  write(text: string): void;
  /** Says on standard error what is going on, in place of what it said before; nothing where that is no terminal. */
  progress(text: string): void;
}

const WIDTH_WITHOUT_TERMINAL = 80;
const LEAST_WIDTH = 40;

const escaped = (on: number, off: number) => (text: string) => `\x1b[${on}m${text}\x1b[${off}m`;
const unchanged = (text: string) => text;

export const COLOURS: Paint = { strong: escaped(1, 22), faint: escaped(2, 22), alarm: escaped(31, 39) };
export const PLAIN: Paint = { strong: unchanged, faint: unchanged, alarm: unchanged };

/** Colours are for terminals, and for people who did not say that they want none. @see https://no-color.org */
export function paintFor(isTerminal: boolean, environment: NodeJS.ProcessEnv): Paint {
  return isTerminal && !environment.NO_COLOR && environment.TERM !== "dumb" ? COLOURS : PLAIN;
}

/** Whether progress is on the screen. */
let saysSomething = false;

/** That of this process. */
export const processTerminal: Terminal = {
  get width() {
    return Math.max(LEAST_WIDTH, process.stdout.columns ?? WIDTH_WITHOUT_TERMINAL);
  },
  paint: paintFor(process.stdout.isTTY, process.env),
  write: (text) => void process.stdout.write(text),
  progress(text) {
    if (process.stderr.isTTY && (text !== "" || saysSomething)) process.stderr.write(`\r\x1b[K${text}`);
    saysSomething = text !== "";
  },
};
