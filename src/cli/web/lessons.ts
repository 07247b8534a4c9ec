import { InvalidArgumentError } from "../../errors.ts";
import { slotOf } from "../../protocol/hash-slot.ts";
import type { LocalActions } from "../local-actions.ts";
import type { ServerState } from "../study/events.ts";
import { COUNT } from "./page-scripts.ts";
import { named, type Place } from "./place.ts";

/** A lesson: what its call meets, once the cluster has been prepared. */
interface Lesson {
  readonly title: string;
  /** The keys of its call, all in one slot. */
  readonly keys: readonly string[];
  /** Brings the cluster from an orderly state into the one in which the call meets what the lesson is about. */
  prepare(place: Place, slot: number, owner: ServerState): Promise<string>;
}

/** A refresh follows a MOVED by up to 1.15 s, and then the scripts are audited: a flush is over when no such audit can come. */
const AUDIT_MS = 1250;
const MOST_FLUSHES = 20;

const LESSONS: Readonly<Record<string, Lesson>> = {
  moved: {
    title: "MOVED",
    keys: ["{lesson:moved}:count"],
    async prepare({ actions, session, servers }, slot, owner) {
      const to = otherPrimary(owner, servers.states);
      await actions.moveSlot(slot, to.name);
      session.client.believe({ slot, owner: owner.address });
      return `slot ${slot} went from ${named(owner)} to ${named(to)}, and the client does not know`;
    },
  },
  ask: {
    title: "ASK",
    keys: ["{lesson:ask}:count"],
    async prepare({ actions, servers }, slot, owner) {
      const to = otherPrimary(owner, servers.states);
      await actions.halfMove(slot, to.name);
      return `slot ${slot} is on its way from ${named(owner)} to ${named(to)}, and the key is at neither`;
    },
  },
  tryagain: {
    title: "TRYAGAIN",
    keys: ["{lesson:tryagain}:one", "{lesson:tryagain}:two"],
    async prepare({ actions, servers }, slot, owner) {
      const to = otherPrimary(owner, servers.states);
      const [one = "", two = ""] = this.keys;
      for (const key of [one, two]) await actions.local.command(owner.address, "SET", key, 0);
      await actions.halfMove(slot, to.name);
      await actions.moveKey(slot, to.name, one);
      return `one key of slot ${slot} is at ${named(to)}, the other one at ${named(owner)}; settle the slot to end it`;
    },
  },
  noscript: {
    title: "NOSCRIPT",
    keys: ["{lesson:noscript}:count"],
    async prepare({ actions, session, servers }) {
      session.client.believe({ slot: 0, script: COUNT });
      for (let each = 0; each < MOST_FLUSHES; each++) {
        await actions.flush();
        await new Promise((resolve) => setTimeout(resolve, AUDIT_MS));
        const states = await servers.lookAgain();
        if (states.every(({ scripts }) => scripts[COUNT.sha] !== true)) {
          return `no node knows ${COUNT.name}, and the client believes that all do`;
        }
      }
      throw new Error(`${COUNT.name} came back after each flush; a load may be running.`);
    },
  },
  failover: {
    title: "Failover",
    keys: ["{lesson:failover}:count"],
    async prepare({ actions, servers }, slot, owner) {
      const has = (nodes: readonly ServerState[]) =>
        nodes.some(({ role, primary, error }) => role === "replica" && primary === owner.name && error === null);
      if (!has(servers.states)) await addReplica(actions, owner);
      const killed = servers.states.filter(({ role, slots }) => role === "primary" && slots.length > 0);
      if (killed.length < 3) throw new Error("a promotion needs the votes of at least two other primaries.");
      await actions.kill(owner.name);
      return `${named(owner)}, the owner of slot ${slot}, is gone`;
    },
  },
  lost: {
    title: "A lost reply",
    keys: ["{lesson:lost}:count"],
    async prepare({ calls }, slot, owner) {
      calls.loseNext();
      return `the reply to the next call, from ${named(owner)} in slot ${slot}, will be lost`;
    },
  },
};

export const LESSON_NAMES = Object.keys(LESSONS);

/** What `hello` tells of the lessons. */
export const LESSON_TITLES = Object.entries(LESSONS).map(([lesson, { title }]) => ({ lesson, title }));

/** The lesson of that name. @throws {InvalidArgumentError} There is none. */
export function lessonOf(name: string): Lesson {
  const found = Object.hasOwn(LESSONS, name) ? LESSONS[name] : undefined;
  if (found !== undefined) return found;
  throw new InvalidArgumentError(
    `there is no lesson ${JSON.stringify(name)}; accepted are ${LESSON_NAMES.join(", ")}.`,
  );
}

/**
 * Puts the lesson's slot in order, empties its ledger, lets the client know, and then prepares the lesson.
 * @returns what was done
 */
export async function prepare(lesson: Lesson, place: Place): Promise<string> {
  const { actions, session, servers } = place;
  const slot = slotOf(lesson.keys[0] ?? "");
  await servers.lookAgain();
  if (servers.states.some(({ open }) => open.some((each) => each.slot === slot))) await actions.settle(slot);
  const owner = ownerOf(slot, await servers.lookAgain());
  await actions.local.command(owner.address, "DEL", ...lesson.keys);
  if (session.cluster.topology.primaryOf(slot)?.address !== owner.address) await session.cluster.refreshTopology();
  const text = await lesson.prepare(place, slot, owner);
  await servers.lookAgain();
  return text;
}

/** The owner of a slot, by the servers' own word. */
export function ownerOf(slot: number, nodes: readonly ServerState[]): ServerState {
  const owner = nodes.find(({ role, slots }) => {
    return role === "primary" && slots.some(({ start, end }) => start <= slot && slot <= end);
  });
  if (owner === undefined) throw new Error(`nobody who answers owns slot ${slot}.`);
  return owner;
}

function otherPrimary(than: ServerState, nodes: readonly ServerState[]): ServerState {
  const other = nodes.find(({ id, role, slots }) => id !== than.id && role === "primary" && slots.length > 0);
  if (other === undefined) throw new Error(`there is no other primary than ${named(than)} that answers.`);
  return other;
}

async function addReplica(actions: LocalActions, owner: ServerState): Promise<void> {
  const address = await actions.local.addNode();
  await actions.local.replicate(address, owner.address);
}
