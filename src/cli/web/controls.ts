import { InvalidArgumentError } from "../../errors.ts";
import { slotOf } from "../../protocol/hash-slot.ts";
import type { LocalActions } from "../local-actions.ts";
import { Input } from "./input.ts";
import { ledgerOf } from "./ledger.ts";
import { lessonOf, prepare } from "./lessons.ts";
import { COUNT } from "./page-scripts.ts";
import { named, type Place } from "./place.ts";
import type { Done } from "./protocol.ts";

const MOST_LOAD = 10_000;

/** One thing that the page can ask for. */
interface Control {
  /** The properties that it accepts, beside its name. */
  readonly accepts: readonly string[];
  /** What is about to be done, for the record. Undefined for what is no action: calls tell of themselves. */
  readonly begins?: (input: Input, place: Place) => string;
  run(input: Input, place: Place): Promise<string | Done>;
}

const CONTROLS: Readonly<Record<string, Control>> = {
  call: {
    accepts: ["script", "keys", "args", "command", "from", "preloaded", "timeout"],
    run: (input, { calls }) => calls.make(input),
  },
  "move-slot": {
    accepts: ["slot", "key", "to"],
    begins: (input, place) => `moving slot ${input.slot()} to ${target(input, place)}`,
    run: (input, { actions }) => doneBy(actions.moveSlot(input.slot(), input.word("to"))),
  },
  "half-move": {
    accepts: ["slot", "key", "to"],
    begins: (input, place) => `moving slot ${input.slot()} half-way to ${target(input, place)}`,
    run: (input, { actions }) => doneBy(actions.halfMove(input.slot(), input.word("to"))),
  },
  "move-key": {
    accepts: ["key", "slot", "to"],
    begins: (input) => `moving one key of slot ${slotOf(input.text("key"))}`,
    async run(input, { actions, servers }) {
      const key = input.text("key");
      const slot = slotOf(key);
      if (input.has("slot") && input.slot() !== slot) {
        throw new InvalidArgumentError(`move-key: the key is in slot ${slot}, not in ${input.slot()}.`);
      }
      const open = servers.states
        .flatMap((each) => each.open)
        .find((each) => each.slot === slot && each.kind === "migrating");
      const to = input.has("to") ? input.word("to") : open?.peer;
      if (to === undefined)
        throw new InvalidArgumentError(`move-key: slot ${slot} is not half-way; name the node to move to.`);
      return doneBy(actions.moveKey(slot, to, key));
    },
  },
  settle: {
    accepts: ["slot", "key"],
    begins: (input) => `settling slot ${input.slot()}`,
    run: (input, { actions }) => doneBy(actions.settle(input.slot())),
  },
  flush: {
    accepts: [],
    begins: () => "SCRIPT FLUSH on every node",
    run: (_, { actions }) => doneBy(actions.flush()),
  },
  failover: {
    accepts: ["node", "anyway"],
    begins: (input, place) => `promoting ${shown(input, place)}`,
    run: (input, { actions }) => doneBy(actions.failover(input.word("node"), input.flag("anyway"))),
  },
  kill: onNode("killing", (actions, node) => actions.kill(node)),
  freeze: onNode("freezing", (actions, node) => actions.freeze(node)),
  thaw: onNode("thawing", (actions, node) => actions.thaw(node)),
  "add-node": {
    accepts: [],
    begins: () => "starting a node",
    run: (_, { actions }) => doneBy(actions.addNode()),
  },
  "lose-reply": {
    // The page names the owner of its slot. Which connection is cut follows from the call.
    accepts: ["node"],
    async run(_, { calls }) {
      calls.loseNext();
      return "the reply to the next call will be lost, with its connection";
    },
  },
  load: {
    accepts: ["calls"],
    begins: (input) => {
      const calls = input.number("calls", { least: 0, most: MOST_LOAD });
      return calls === 0 ? "ending the load" : `a load of ${calls} calls/s`;
    },
    async run(input, { actions, session }) {
      const calls = input.number("calls", { least: 0, most: MOST_LOAD });
      const done = await doneBy(actions.load(calls, session.cluster));
      return calls === 0 ? done : `${calls} calls/s from now on`;
    },
  },
  refresh: {
    accepts: [],
    begins: () => "the client asks for the slot map",
    async run(_, { session }) {
      await session.cluster.refreshTopology();
      return "the client has asked for the slot map";
    },
  },
  "show-arguments": {
    accepts: ["on"],
    async run(input, { bytes }) {
      bytes.showsArguments = input.flag("on");
      return bytes.showsArguments
        ? "arguments and replies are shown from now on"
        : "arguments and replies are hidden from now on";
    },
  },
  "lesson-prepare": {
    accepts: ["lesson"],
    begins: (input) => `preparing the lesson ${lessonOf(input.text("lesson")).title}`,
    async run(input, place) {
      const lesson = lessonOf(input.text("lesson"));
      const done = await prepare(lesson, place);
      return { ok: true, done, does: { name: "call", script: COUNT.name, keys: lesson.keys } };
    },
  },
  ledger: {
    accepts: ["lesson", "keys"],
    async run(input, place) {
      const keys = input.has("lesson") ? lessonOf(input.text("lesson")).keys : input.texts("keys");
      const runs = await ledgerOf(keys, place);
      const words = runs.map(
        ({ key, runs: count, node }) => `${key}: ${count ?? "nothing"}${node === null ? "" : ` at ${node}`}`,
      );
      return { ok: true, done: words.join(", "), runs };
    },
  },
};

export const CONTROL_NAMES: readonly string[] = Object.keys(CONTROLS);

/** Performs what a page asks for. */
export class Controls {
  readonly #place: Place;
  #actions = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Never rejects: what is wrong, or cannot be done, is told in the answer. */
  async perform(asked: Readonly<Record<string, unknown>>): Promise<Done> {
    try {
      const { name } = asked;
      const control = typeof name === "string" && Object.hasOwn(CONTROLS, name) ? CONTROLS[name] : undefined;
      if (control === undefined) {
        const shown = name === undefined ? "no name is given" : `there is no ${JSON.stringify(name).slice(0, 100)}`;
        throw new InvalidArgumentError(`${shown}; accepted are ${CONTROL_NAMES.join(", ")}.`);
      }
      return await this.#run(name as string, control, new Input(name as string, asked, control.accepts));
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Tells the record of something that was done, beside the page. */
  tell(name: string, text: string, state: "done" | "failed"): void {
    this.#place.note({ type: "action", action: ++this.#actions, name, text, state });
  }

  async #run(name: string, { begins, run }: Control, input: Input): Promise<Done> {
    const place = this.#place;
    const text = begins?.(input, place);
    if (text === undefined) return asDone(await run(input, place));
    const action = ++this.#actions;
    const note = (state: "begun" | "done" | "failed", said: string) =>
      place.note({ type: "action", action, name, text: said, state });
    note("begun", text);
    try {
      const result = asDone(await run(input, place));
      note("done", result.ok ? result.done : text);
      return result;
    } catch (error) {
      note("failed", `${text}: ${(error as Error).message}`);
      throw error;
    } finally {
      void place.servers.lookAgain();
    }
  }
}

function onNode(
  doing: string,
  act: (actions: LocalActions, node: string) => Promise<{ readonly done: string }>,
): Control {
  return {
    accepts: ["node"],
    begins: (input, place) => `${doing} ${shown(input, place)}`,
    run: (input, { actions }) => doneBy(act(actions, input.word("node"))),
  };
}

const target = (input: Input, { servers }: Place) => named(input.node("to", servers.states));
const shown = (input: Input, { servers }: Place) => named(input.node("node", servers.states));

function asDone(result: string | Done): Done {
  return typeof result === "string" ? { ok: true, done: result } : result;
}

async function doneBy(work: Promise<{ readonly done: string }>): Promise<string> {
  return (await work).done;
}
