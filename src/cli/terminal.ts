/** The ways in which drawings emphasise text. Without colours all of them leave the text unchanged. */
export interface Paint {
  strong(text: string): string;
  faint(text: string): string;
  alarm(text: string): string;
  /** The colour with this number, from 0; they begin again after the last one. */
  hue(number: number, text: string): string;
}

/** The terminal on which a command shows its output and its progress. */
export interface Terminal {
  /** The number of columns of standard output. */
  readonly width: number;
  readonly paint: Paint;
  /** Writes to standard output now, before the command's result. */
  write(text: string): void;
  /**
   * Shows the progress on standard error, in place of the previous text. Does nothing if standard error is no terminal.
   */
  progress(text: string): void;
  /** Writes a warning to standard error. */
  warn(text: string): void;
}

const WIDTH_WITHOUT_TERMINAL = 80;
const LEAST_WIDTH = 40;

const escaped = (on: number, off: number) => (text: string) => `\x1b[${on}m${text}\x1b[${off}m`;
const unchanged = (text: string) => text;

/**
 * Colours of a terminal with 256: blue, orange, green, pink, gold, sky, vermilion, grey. People with colour blindness can
 * tell neighbours apart, after the palette of Okabe and Ito, and they show on dark and on light ground.
 */
const HUES = [33, 208, 36, 175, 178, 74, 166, 245] as const;

export const COLOURS: Paint = {
  strong: escaped(1, 22),
  faint: escaped(2, 22),
  alarm: escaped(31, 39),
  hue: (number, text) => `\x1b[38;5;${HUES[number % HUES.length]}m${text}\x1b[39m`,
};
export const PLAIN: Paint = { strong: unchanged, faint: unchanged, alarm: unchanged, hue: (_, text) => text };

/** Colours are used only on a terminal, and only if the user has not turned them off. @see https://no-color.org */
export function paintFor(isTerminal: boolean, environment: NodeJS.ProcessEnv): Paint {
  return isTerminal && !environment.NO_COLOR && environment.TERM !== "dumb" ? COLOURS : PLAIN;
}

/** Whether a progress text is on the screen. */
let saysSomething = false;

/** The terminal of this process. */
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
  warn(text) {
    this.progress("");
    process.stderr.write(`slotwire: ${text}\n`);
  },
};
