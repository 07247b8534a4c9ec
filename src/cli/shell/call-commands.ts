import { SlotwireError } from "../../errors/slotwire-error.ts";
import { ReplyError } from "../../errors.ts";
import { slotOf } from "../../protocol/hash-slot.ts";
import { numberOf } from "../arguments.ts";
import type { Done } from "../local-actions.ts";
import { quoted } from "../printable.ts";
import { loadInWords } from "../steady-load.ts";
import type { StudyEvent } from "../study/events.ts";
import { Recorder } from "../study/recorder.ts";
import type { Place, ShellCommand } from "./shell-command.ts";

/** The commands that make calls. */
export const CALL_COMMANDS: readonly ShellCommand[] = [
  {
    usage: "get KEY",
    example: "get {user:1}:name",
    summary: "read a key, and say which node answered",
    run: (place, [key = ""]) => call(place, key, "GET", key),
  },
  {
    usage: "set KEY VALUE",
    example: "set {user:1}:name ann",
    summary: "write a key, and say which node answered",
    run: (place, [key = "", value = ""]) => call(place, key, "SET", key, value),
  },
  {
    usage: "load [CALLS]",
    example: "load 500",
    summary: "make so many calls a second until `load 0`; or tell how they fare",
    async run({ actions }, [calls]) {
      if (calls !== undefined) {
        return actions.load(numberOf("load", calls, { least: 0, most: actions.mostCallsASecond, fallback: 0 }));
      }
      const { loadFigures: load } = actions;
      return load === undefined ? { done: "there is no load", load: null } : { done: loadInWords(load), load };
    },
  },
];

/** One attempt of a call, as it is told. */
interface Stop {
  readonly node: string;
  /** `MOVED`, `ASK`, `LOST` and so on; null for the attempt that ended the call. */
  readonly refused: string | null;
}

/** Makes a plain call with the session's client, and tells where it went. */
async function call({ actions, session }: Place, key: string, name: string, ...args: string[]): Promise<Done> {
  const events: StudyEvent[] = [];
  const recorder = new Recorder({ onEvent: (event) => events.push(event) }).start(session.client);
  const slot = slotOf(key);
  try {
    const reply = await session.cluster.command(name, ...args);
    const stops = stopsIn(events);
    const shown = typeof reply === "string" ? quoted(reply) : String(reply);
    return {
      done: `${shown}  slot ${slot}: ${inWords(stops, actions.said)}`,
      reply,
      slot,
      nodes: named(stops, actions),
    };
  } catch (error) {
    const stops = stopsIn(events).map((stop) => {
      return stop.refused === null && !(error instanceof ReplyError) ? { ...stop, refused: NO_ANSWER } : stop;
    });
    if (error instanceof SlotwireError && stops.length > 0) {
      throw new Error(`${error.message} Slot ${slot}: ${inWords(stops, actions.said)}.`, { cause: error });
    }
    throw error;
  } finally {
    recorder.stop();
  }
}

/** The attempts of the first call in the record. */
function stopsIn(events: readonly StudyEvent[]): Stop[] {
  const first = events.find(({ type }) => type === "call");
  if (first?.type !== "call") return [];
  const stops: Stop[] = [];
  for (const event of events) {
    if (!("call" in event) || event.call !== first.call) continue;
    if (event.type === "decided" && event.address !== null) stops.push({ node: event.address, refused: event.failure });
    if (event.type === "settled" && event.address !== null && stops.length < event.attempts) {
      stops.push({ node: event.address, refused: null });
    }
  }
  return stops;
}

/** The end of a call that no node answered. */
const NO_ANSWER = "no answer";
const MOST_STOPS_SHOWN = 4;

function inWords(stops: readonly Stop[], said: (address: string) => string): string {
  const texts = stops.map(({ node, refused }) => {
    if (refused === NO_ANSWER) return `${said(node)} did not answer`;
    if (refused === null) return `${said(node)} answered`;
    return refused === "LOST" ? `${said(node)} was lost` : `${said(node)} said ${refused}`;
  });
  if (texts.length <= MOST_STOPS_SHOWN) return texts.join(", then ");
  const more = texts.length - MOST_STOPS_SHOWN;
  return [...texts.slice(0, MOST_STOPS_SHOWN - 1), `${more} more`, texts.at(-1)].join(", then ");
}

function named(stops: readonly Stop[], actions: Place["actions"]) {
  return stops.map(({ node, refused }) => ({ name: actions.nameOf(node), address: node, refused }));
}
