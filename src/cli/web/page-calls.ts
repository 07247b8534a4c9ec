import { InvalidArgumentError, SlotwireError } from "../../errors.ts";
import { slotOfKeys } from "../../protocol/hash-slot.ts";
import type { Argument } from "../../protocol/reply.ts";
import type { Script } from "../../scripts/script.ts";
import { askedCommand, spreadOfCall } from "../explained-call.ts";
import { jsonOf } from "../printable.ts";
import { wordsOf } from "../words.ts";
import type { Input } from "./input.ts";
import { named, type Place } from "./place.ts";
import type { Done } from "./protocol.ts";

/** Of a longer reply only the beginning is shown. */
const MOST_REPLY = 2000;
const MOST_TIMEOUT_MS = 600_000;
const CALL_TIMEOUT_MS = 15_000;

/** A call that the page asks for. */
interface Wanted {
  readonly script: Script | undefined;
  readonly words: readonly string[];
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** The calls that the page makes, through the client whose calls are shown. */
export class PageCalls {
  readonly #placeOf: () => Place;
  #losesNext = false;

  /** @param place  Asked at each call. */
  constructor(place: () => Place) {
    this.#placeOf = place;
  }

  get #place(): Place {
    return this.#placeOf();
  }

  /** Loses the reply to the next call that the page makes. */
  loseNext(): void {
    this.#losesNext = true;
  }

  /** Makes a call, and waits for its end. */
  async make(input: Input): Promise<Done> {
    const { session, record, lost } = this.#place;
    const wanted = this.#wantedBy(input);
    const timeout = input.number("timeout", { least: 1, most: MOST_TIMEOUT_MS, fallback: CALL_TIMEOUT_MS });
    await this.#believe(input, wanted);
    const view = session.cluster.with({ timeout });
    const before = this.#place.newestCall();
    this.#lose(wanted);
    const { script, words, keys, args } = wanted;
    const [name = "", ...rest] = words;
    const promise = record.wanting(() => (script ? view.run(script, keys, args) : view.command(name, ...rest)));
    const newest = this.#place.newestCall();
    // A command that no table lists asks a server first, and a blocking one may wait: its call begins later.
    const numberOf = () => (newest > before ? before + 1 : null);
    try {
      const reply = shown(await promise);
      return { ok: true, done: reply, reply, call: numberOf() };
    } catch (error) {
      const { code = "ERROR", outcome = null } = error instanceof SlotwireError ? error : {};
      const message = error instanceof Error ? error.message : String(error);
      return { ok: false, error: message, code, outcome, call: numberOf() };
    } finally {
      lost.spare();
    }
  }

  #wantedBy(input: Input): Wanted {
    if (!input.has("script")) {
      const words = input.has("command") ? commandOf(input) : [];
      if (words.length === 0) throw new InvalidArgumentError("call needs a script, or a command with its arguments.");
      return { script: undefined, words, keys: [], args: [] };
    }
    const { scripts } = this.#place;
    const script = scripts.get(input.text("script"));
    if (script === undefined) {
      throw new InvalidArgumentError(`call: there is no such script; accepted are ${[...scripts.keys()].join(", ")}.`);
    }
    return { script, words: [], keys: input.texts("keys"), args: input.texts("args") };
  }

  /** Makes the client believe what it would believe if its news were old. */
  async #believe(input: Input, wanted: Wanted): Promise<void> {
    const { session, servers } = this.#place;
    const { script } = wanted;
    const isPreloaded = input.flag("preloaded");
    if (isPreloaded && script === undefined) throw new InvalidArgumentError("call: preloaded needs a script.");
    if (!input.has("from")) {
      if (isPreloaded && script) session.client.believe({ slot: 0, script });
      return;
    }
    const from = input.node("from", servers.states);
    const asked = script
      ? { script, command: undefined, keys: wanted.keys, args: wanted.args }
      : await askedCommand(session, wanted.words);
    if (asked.keys.length === 0 || spreadOfCall(asked) !== null) {
      throw new InvalidArgumentError("call: from needs a call with keys, for one slot.");
    }
    if (!session.cluster.topology.nodes.some(({ address }) => address === from.address)) {
      throw new InvalidArgumentError(`call: the client does not know ${named(from)}; refresh its map first.`);
    }
    session.client.believe({
      slot: slotOfKeys(asked.keys),
      owner: from.address,
      ...(isPreloaded && script && { script }),
    });
  }

  #lose({ script, words, keys }: Wanted): void {
    if (!this.#losesNext) return;
    this.#losesNext = false;
    const { lost, servers, tell } = this.#place;
    const request = script ? [script.sha, String(keys.length), ...keys] : words;
    lost.lose(encoded(request), (address) => {
      const node = servers.states.find((each) => each.address === address);
      tell("lose-reply", `the connection to ${node ? named(node) : address} was cut before the reply came`, "done");
    });
  }
}

/** The words of a command: an array, or a line as in a shell. */
function commandOf(input: Input): string[] {
  try {
    return input.texts("command");
  } catch {
    return wordsOf(input.text("command"));
  }
}

/** The bytes of these words within a request. */
function encoded(words: readonly Argument[]): string {
  const bulk = (word: Argument) => {
    const bytes = Buffer.from(String(word));
    return `$${bytes.length}\r\n${bytes.toString("latin1")}\r\n`;
  };
  return words.map(bulk).join("");
}

function shown(reply: unknown): string {
  const text = jsonOf(reply ?? null);
  return text.length <= MOST_REPLY ? text : `${text.slice(0, MOST_REPLY)}...`;
}
