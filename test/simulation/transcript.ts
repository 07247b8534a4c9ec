import { keyForSlot } from "../support/key-for-slot.ts";
import { Chance } from "./random.ts";
import { ask, type Side } from "./sides.ts";
import { type ScriptName, SOURCES, shaOf } from "./sim-scripts.ts";

/** Two of each primary. */
const SLOTS = [1000, 2000, 7000, 8000, 13000, 14000] as const;

/** Of n0, and for a while of n1. */
export const MOVING_SLOT = 1000;

const TAGS = new Map<number, string>(SLOTS.map((slot) => [slot, keyForSlot(slot)]));
const QUICK: readonly ScriptName[] = ["count", "put", "read", "pair", "fail", "echo"];

/** One of four keys of a slot. */
export function keyIn(slot: number, number: number): string {
  return `{${TAGS.get(slot)}}${number}`;
}

/** One thing that is done, and how it reads. */
export interface Step {
  readonly text: string;
  do(side: Side): Promise<string>;
}

export function asked(session: string, node: number, ...args: string[]): Step {
  return {
    text: `${session}@n${node}> ${args.join(" ")}`,
    async do(side) {
      if (node > 2) await side.catchUp(node);
      return ask(side, session, node, ...args);
    },
  };
}

/** Commands of several sessions to all nodes while a slot moves away and back, drawn from a seed. */
export function drawnSteps(seed: number, count: number): Step[] {
  const chance = new Chance(seed);
  const inTransaction = new Set<string>();
  const stages = [[], ...journey().map((stage) => [stage])];
  return stages.flatMap((stage) => {
    const commands = Array.from({ length: count / stages.length }, () => {
      const node = chance.whole(0, 5);
      const session = chance.pick(["a", "b"]);
      return asked(session, node, ...drawnCommand(chance, `${session}${node}`, inTransaction));
    });
    return [...stage, ...commands];
  });
}

/** A slot moves away and back. */
export function journey(): Step[] {
  return [...stages(0, 1), ...stages(1, 0)];
}

/** Half of the keys first, so that of some calls one key is here and one is there. */
function stages(from: number, to: number): Step[] {
  const way = `of ${MOVING_SLOT} from n${from} to n${to}`;
  const keys = [1, 2, 3, 4].map((number) => keyIn(MOVING_SLOT, number));
  return [
    act(`the move ${way} begins`, (side) => side.beginMove(MOVING_SLOT, from, to)),
    act(`half of the keys ${way} move`, (side) => side.moveKeys(keys.slice(0, 2), from, to)),
    act(`the other keys ${way} move`, (side) => side.moveKeys(keys.slice(2), from, to)),
    act(`the move ${way} ends`, (side) => side.endMove(MOVING_SLOT, from, to)),
  ];
}

/** Something that is done to a cluster. */
export function act(text: string, run: (side: Side) => Promise<void>): Step {
  return {
    text,
    async do(side) {
      await run(side);
      return "done";
    },
  };
}

function drawnCommand(chance: Chance, session: string, inTransaction: Set<string>): string[] {
  // Half of the calls are about the slot that moves.
  const slot = chance.of(0.5) ? MOVING_SLOT : chance.pick(SLOTS);
  const key = keyIn(slot, chance.whole(1, 4));
  const other = chance.of(0.8) ? keyIn(slot, chance.whole(1, 4)) : keyIn(chance.pick(SLOTS), 1);
  const name = chance.pick(QUICK);
  const keys = name === "pair" ? [key, other] : name === "echo" && chance.of(0.3) ? [] : [key];
  const behind = [String(keys.length), ...keys, `v${chance.whole(1, 99)}`, "MOVEDOUT x"];
  const kind = chance.weighted({ strings: 30, scripts: 40, caches: 12, states: 14, transactions: 25, strangers: 1 });
  switch (kind) {
    case "strings":
      return chance.pick([
        ["GET", key],
        ["SET", key, "text"],
        ["INCR", key],
        ["MGET", key, other],
        ["EXISTS", key, other],
      ]);
    case "scripts":
      return chance.pick([
        ["EVALSHA", shaOf(SOURCES[name]), ...behind],
        ["EVALSHA_RO", shaOf(SOURCES[name]), ...behind],
        ["EVAL", SOURCES[name], ...behind],
        ["EVAL_RO", SOURCES[name], ...behind],
      ]);
    case "caches":
      return chance.weighted({ load: 6, exists: 4, flush: 1 }) === "load"
        ? ["SCRIPT", "LOAD", SOURCES[name]]
        : chance.of(0.8)
          ? ["SCRIPT", "EXISTS", shaOf(SOURCES[name]), "0".repeat(40)]
          : ["SCRIPT", "FLUSH"];
    case "states":
      return chance.pick([["ASKING"], ["ASKING"], ["READONLY"], ["PING"], ["ECHO", "x"]]);
    case "transactions": {
      // A client sends no MULTI inside another, and no EXEC without one.
      if (!inTransaction.delete(session)) {
        if (chance.of(0.4)) return ["WATCH", key];
        inTransaction.add(session);
        return ["MULTI"];
      }
      return chance.of(0.8) ? ["EXEC"] : ["DISCARD"];
    }
    default:
      return ["NOSUCH", key, "x"];
  }
}
