import type { LocalActions } from "../local-actions.ts";
import type { LoadFigures } from "../steady-load.ts";

const EVERY_MS = 1000;

/** Tells of the errors of a load, at most once a second. */
export class LoadReports {
  readonly #actions: LocalActions;
  readonly #tell: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  #told: LoadFigures["errors"] = {};
  #sum = 0;

  constructor(actions: LocalActions, tell: (text: string) => void) {
    this.#actions = actions;
    this.#tell = tell;
    this.#timer = setInterval(() => this.#look(), EVERY_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { loadFigures: figures } = this.#actions;
    if (figures === undefined) return;
    const { errors, lastError } = figures;
    const sum = Object.values(errors).reduce((total, each) => total + each, 0);
    // A smaller sum is that of another load.
    const told = sum < this.#sum ? {} : this.#told;
    const news = Object.entries(errors).flatMap(([code, times]) => {
      const more = times - (told[code] ?? 0);
      return more > 0 ? [`${more} ${code}`] : [];
    });
    this.#told = errors;
    this.#sum = sum;
    if (news.length > 0) this.#tell(`load: ${news.join(", ")} in the last second; ${lastError}`);
  }
}
