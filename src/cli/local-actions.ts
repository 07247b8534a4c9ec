import type { Cluster } from "../cluster/cluster.ts";
import { connect } from "../cluster/connect.ts";
import { InvalidArgumentError } from "../errors.ts";
import { SLOT_COUNT, slotOf } from "../protocol/hash-slot.ts";
import type { SettleStep } from "../testing/settle-slot.ts";
import type { LocalCluster } from "../testing/start-cluster.ts";
import { type LoadFigures, loadInWords, SteadyLoad } from "./steady-load.ts";
import type { ServerState } from "./study/events.ts";
import { Servers } from "./study/servers.ts";

/** What was done, in words, and whatever else JSON shall show. */
export interface Done {
  /** In one line. */
  readonly done: string;
  /** More lines: the single steps, what follows, or what to do next. */
  readonly details?: readonly string[];
  readonly [more: string]: unknown;
}

const MOST_CALLS_A_SECOND = 10_000;

/**
 * Everything that can be done to a local cluster. The shell and the live page both act through this. A node is named by
 * its name (`A1`), its port, or its address. Bad input, and what cannot be done, is an error that names what is accepted.
 */
export class LocalActions {
  readonly local: LocalCluster;
  /** Asks each server for what it knows. Its names are those that every answer shows. */
  readonly servers: Servers;
  /** Called with what is waited for. */
  onProgress: (text: string) => void = () => {};
  /** The largest load. */
  readonly mostCallsASecond = MOST_CALLS_A_SECOND;
  #states: readonly ServerState[] = [];
  #load: SteadyLoad | undefined;
  /** The client that makes the calls of the load; opened by the first load. */
  #loader: Promise<Cluster> | undefined;

  constructor(local: LocalCluster, servers: Servers) {
    this.local = local;
    this.servers = servers;
  }

  static async open(local: LocalCluster): Promise<LocalActions> {
    const actions = new LocalActions(local, await Servers.find(local.connectOptions));
    await actions.look();
    return actions;
  }

  /** Asks all servers for their state. */
  async look(): Promise<readonly ServerState[]> {
    this.#states = await this.servers.ask();
    return this.#states;
  }

  /** The names of the running nodes, in order. */
  get names(): string[] {
    return this.local.nodes.map((address) => this.nameOf(address)).sort();
  }

  /** The name of the node at `address`, or the address if it has no name. */
  readonly nameOf = (address: string): string => {
    return this.#states.find((state) => state.address === address)?.name ?? address;
  };

  /** The node as answers show it: `A1 (127.0.0.1:7003)`. */
  readonly said = (address: string): string => {
    const name = this.nameOf(address);
    return name === address ? address : `${name} (${address})`;
  };

  /** Whether the word is the name of a running node. */
  isName(word: string): boolean {
    return this.names.includes(word.toUpperCase());
  }

  /** The address of the running node that `word` names: its name, its port, or its address. */
  addressOf(word: string | undefined): string {
    const { nodes } = this.local;
    const named = nodes.find((address) => {
      return address === word || address.endsWith(`:${word}`) || this.nameOf(address) === word?.toUpperCase();
    });
    if (named !== undefined) return named;
    if (nodes.length === 0) throw new InvalidArgumentError("no node runs any more; `quit` ends the cluster.");
    const what = word === undefined ? "a NODE is needed" : `there is no node ${JSON.stringify(word)} that runs`;
    throw new InvalidArgumentError(`${what}; accepted are ${this.#listOf(nodes)}, by name, port or address.`);
  }

  /** Moves a slot with its keys to a primary. A slot that is half-way to wherever is closed as well. */
  async moveSlot(slot: number, node: string): Promise<Done> {
    checkSlot(slot);
    const to = await this.#primary(node);
    const wasWhole = !this.#isOpen(slot) && this.#ownerOf(slot) === to;
    this.onProgress(`moving slot ${slot} to ${this.said(to)}`);
    try {
      await this.local.moveSlots({ slots: [slot], to });
    } catch (error) {
      throw await this.#withAdvice(error as Error, slot);
    }
    return { done: `slot ${slot} is ${possessive(this.nameOf(to))} ${wasWhole ? "already " : ""}(${to})` };
  }

  /** Begins to move a slot, and stops before its keys are moved. */
  async halfMove(slot: number, node: string): Promise<Done> {
    const { from, to } = await this.#openSlot(slot, node);
    return {
      done: `slot ${slot} is half-way from ${this.said(from)} to ${this.said(to)}`,
      details: [`${this.nameOf(from)} answers ASK for keys that it has no more`, this.#waysOut(slot, to)],
    };
  }

  /** Moves one key of a half-moved slot, so that calls with this key and others get TRYAGAIN. */
  async moveKey(slot: number, node: string, key: string): Promise<Done> {
    if (slotOf(key) !== slot) {
      throw new InvalidArgumentError(`the key ${JSON.stringify(key)} is of slot ${slotOf(key)}, not ${slot}.`);
    }
    checkSlot(slot);
    const to = await this.#primary(node);
    const from = this.#ownerOf(slot);
    if (from !== undefined && from !== to && !(await this.#has(from, key))) {
      if (await this.#has(to, key)) {
        return { done: `${JSON.stringify(key)} is at ${this.said(to)} already` };
      }
      throw new InvalidArgumentError(`${this.said(from)} has no key ${JSON.stringify(key)}; \`set\` makes one.`);
    }
    const ends = await this.#openSlot(slot, node);
    await this.local.moveKey(key, ends);
    const left = (await this.local.command(ends.from, "CLUSTER", "COUNTKEYSINSLOT", slot)) as number;
    const name = this.nameOf(ends.from);
    const rest = `${left} ${left === 1 ? "key" : "keys"} of slot ${slot} ${left === 1 ? "is" : "are"} left at ${name}`;
    return {
      done: `${JSON.stringify(key)} went from ${this.said(ends.from)} to ${this.said(ends.to)}`,
      details: [
        left === 0 ? `${rest}, which answers ASK for each` : `${rest}: calls with keys of both nodes get TRYAGAIN`,
        this.#waysOut(slot, ends.to),
      ],
    };
  }

  /** Closes a half-moved slot, whatever state its ends are in. No key is lost. */
  async settle(slot: number): Promise<Done> {
    checkSlot(slot);
    await this.look();
    this.onProgress(`settling slot ${slot}`);
    const settled = await this.local.settleSlot(slot).catch((error: Error) => {
      if (!error.message.startsWith("CLUSTERDOWN")) throw error;
      // Servers move no key while slots are not served.
      const why = `while other slots are not served, which \`topology\` shows: ${error.message}.`;
      throw new Error(`slot ${slot} cannot be settled ${why}`, { cause: error });
    });
    await this.look();
    const { owner, steps } = settled;
    const its = `slot ${slot} is ${possessive(this.nameOf(owner))} (${owner})`;
    if (steps.length === 0) return { done: `${its}, and was whole` };
    return { done: `${its}, whole again`, details: steps.map((step) => this.#stepInWords(step)), steps };
  }

  /** SCRIPT FLUSH on every node that is not frozen. */
  async flush(): Promise<Done> {
    await this.local.flushScripts();
    return { done: "no node knows any script" };
  }

  /**
   * Promotes a replica.
   * @param anyway  Also while slots of its primary are half-way, which is refused otherwise.
   */
  async failover(node: string, anyway = false): Promise<Done> {
    const address = this.addressOf(node);
    const states = await this.look();
    const state = states.find((each) => each.address === address);
    if (state === undefined || state.role === null) {
      throw new Error(`${this.said(address)} does not answer, so it cannot be promoted.`);
    }
    if (state.role === "primary") {
      const replicas = states.filter(({ role, error }) => role === "replica" && error === null);
      const accepted = replicas.length === 0 ? "there is no replica" : `accepted are ${this.#namesOf(replicas)}`;
      throw new InvalidArgumentError(`${this.said(address)} is a primary already; ${accepted}.`);
    }
    const open = this.#openAt(state.primary ?? "");
    if (open.length > 0 && !anyway) throw new InvalidArgumentError(this.#warning(address, open));
    this.onProgress(`promoting ${this.said(address)}`);
    await this.local.failover(address);
    return { done: `${this.said(address)} is a primary`, ...withDetails(await this.#damage()) };
  }

  /** Ends a node with SIGKILL. */
  async kill(node: string): Promise<Done> {
    const address = this.addressOf(node);
    const said = this.said(address);
    await this.look();
    const open = this.#openAt(this.nameOf(address)).map(({ slot }) => slot);
    await this.local.kill(address);
    return { done: `${said} is gone`, ...withDetails(stillOpen(open)) };
  }

  /** Freezes a node with SIGSTOP. */
  async freeze(node: string): Promise<Done> {
    const address = this.addressOf(node);
    this.local.pause(address);
    return { done: `${this.said(address)} is frozen` };
  }

  /** Lets a frozen node run again. */
  async thaw(node: string): Promise<Done> {
    const address = this.addressOf(node);
    this.local.resume(address);
    return { done: `${this.said(address)} runs` };
  }

  /** Starts one more node without slots, which joins the cluster. */
  async addNode(): Promise<Done> {
    this.onProgress("starting a server");
    const address = await this.local.addNode();
    await this.look();
    return { done: `${this.said(address)} has joined` };
  }

  /**
   * Begins a steady load of calls, in place of the present one. 0 ends it.
   * @param cluster  The client that makes the calls; by default one of its own.
   */
  async load(perSecond: number, cluster?: Cluster): Promise<Done> {
    if (!Number.isInteger(perSecond) || perSecond < 0 || perSecond > MOST_CALLS_A_SECOND) {
      throw new InvalidArgumentError(
        `the load is ${perSecond}; accepted are whole calls a second up to ${MOST_CALLS_A_SECOND}, and 0 to end it.`,
      );
    }
    const before = this.#load;
    this.#load = undefined;
    const figures = await before?.stop();
    if (perSecond === 0) {
      if (figures === undefined) return { done: "there is no load" };
      return { done: `${loadInWords(figures)}; it has ended`, load: figures };
    }
    this.#loader ??= cluster === undefined ? connect(this.local.connectOptions) : undefined;
    this.#load = new SteadyLoad(cluster ?? (await (this.#loader as Promise<Cluster>)), perSecond);
    return { done: `${perSecond} calls/s from now on; \`load\` tells how they fare, \`load 0\` ends them` };
  }

  /** The figures of the present load. */
  get loadFigures(): LoadFigures | undefined {
    return this.#load?.figures;
  }

  /** Ends the load and all connections. The cluster itself is not ended. */
  async close(): Promise<void> {
    const loader = await this.#loader?.catch(() => undefined);
    loader?.destroy();
    await this.#load?.stop();
    this.servers.close();
  }

  /** Checks that a slot can be moved to a primary, and begins the move unless that is done. */
  async #openSlot(slot: number, node: string): Promise<{ from: string; to: string }> {
    checkSlot(slot);
    const to = await this.#primary(node);
    const from = this.#ownerOf(slot);
    if (from === undefined) throw new Error(`nobody owns slot ${slot}.`);
    if (from === to) {
      const others = this.#states.filter(({ role, address }) => role === "primary" && address !== to);
      const its = `slot ${slot} is ${possessive(this.nameOf(to))} already (${to})`;
      const accepted = others.length === 0 ? "there is no other primary" : `accepted are ${this.#namesOf(others)}`;
      throw new InvalidArgumentError(`${its}; ${accepted}.`);
    }
    const marks = this.#states.flatMap(({ name, open }) => {
      return open.filter((each) => each.slot === slot).map(({ kind, peer }) => (kind === "migrating" ? peer : name));
    });
    const other = marks.find((name) => name !== this.nameOf(to));
    if (other !== undefined) {
      throw new InvalidArgumentError(
        `slot ${slot} is half-way to ${other}; \`move ${slot} ${other}\` ends that, \`settle ${slot}\` undoes it.`,
      );
    }
    await this.local.beginMove(slot, { from, to });
    await this.look();
    return { from, to };
  }

  /** The address of the primary that `word` names, by the newest news. */
  async #primary(word: string): Promise<string> {
    const address = this.addressOf(word);
    const states = await this.look();
    const primaries = states.filter(({ role }) => role === "primary");
    if (primaries.some((state) => state.address === address)) return address;
    const role = states.find((state) => state.address === address)?.role;
    const what = role === "replica" ? "is a replica" : "does not answer";
    throw new InvalidArgumentError(
      `${this.said(address)} ${what}; ${primaries.length === 0 ? "no primary does" : `accepted are ${this.#namesOf(primaries)}`}.`,
    );
  }

  #ownerOf(slot: number): string | undefined {
    const owner = this.#states.find(({ slots }) => slots.some(({ start, end }) => start <= slot && slot <= end));
    return owner?.address;
  }

  #isOpen(slot: number): boolean {
    return this.#states.some(({ open }) => open.some((each) => each.slot === slot));
  }

  /** The half-moved slots that have one of their ends at the node of that name. */
  #openAt(name: string): { slot: number; from: string; to: string }[] {
    const all = this.#states.flatMap((state) => {
      return state.open.map(({ slot, kind, peer }) => {
        return kind === "migrating" ? { slot, from: state.name, to: peer } : { slot, from: peer, to: state.name };
      });
    });
    const its = all.filter(({ from, to }) => from === name || to === name);
    return its.filter(({ slot }, index) => its.findIndex((each) => each.slot === slot) === index);
  }

  #warning(address: string, open: readonly { slot: number; from: string; to: string }[]): string {
    const [first] = open as [{ slot: number; from: string; to: string }];
    const name = this.nameOf(address);
    const which = open.map(({ slot, from, to }) => `slot ${slot} is half-way from ${from} to ${to}`).join(", ");
    const what = `${name} would not know of the move: keys that were moved would seem to be gone, and with Redis up to 7 ${first.to} would know no owner of the slot and answer CLUSTERDOWN to everything`;
    return `${which}. ${what}. \`settle ${first.slot}\` closes it first; \`failover ${name} --anyway\` goes on.`;
  }

  /** What a failover has left: nodes that serve nothing, and slots that are still half-way. */
  async #damage(): Promise<string[]> {
    const states = await this.look();
    const down = states.filter(({ state }) => state === "fail").map(({ name }) => name);
    const open = [...new Set(states.flatMap((state) => state.open.map(({ slot }) => slot)))];
    if (open.length === 0) return [];
    const fails = down.length === 0 ? [] : [`CLUSTERDOWN is what ${down.join(", ")} answers to everything now`];
    return [...fails, ...stillOpen(open)];
  }

  #waysOut(slot: number, to: string): string {
    return `\`move ${slot} ${this.nameOf(to)}\` ends it, \`settle ${slot}\` undoes it`;
  }

  #stepInWords(step: SettleStep): string {
    const name = (address: string | null) => (address === null ? "a node that is gone" : this.nameOf(address));
    switch (step.did) {
      case "moved-keys":
        return `${step.keys} ${step.keys === 1 ? "key" : "keys"} moved from ${name(step.from)} to ${name(step.to)}`;
      case "handed-over":
        return `the slot given from ${name(step.from)} to ${name(step.to)}`;
      case "closed":
        return `${name(step.at)} no longer ${step.was} ${step.was === "migrating" ? "to" : "from"} ${name(step.peer)}`;
      case "kept":
        return `of ${JSON.stringify(step.key)}, ${possessive(name(step.of))} value kept and ${possessive(name(step.not))} other one dropped`;
    }
  }

  async #has(address: string, key: string): Promise<boolean> {
    const slot = slotOf(key);
    const count = (await this.local.command(address, "CLUSTER", "COUNTKEYSINSLOT", slot)) as number;
    const keys = (await this.local.command(address, "CLUSTER", "GETKEYSINSLOT", slot, count + 1)) as string[];
    return keys.includes(key);
  }

  async #withAdvice(error: Error, slot: number): Promise<Error> {
    await this.look();
    if (!this.#isOpen(slot)) return error;
    return new Error(`${error.message} Slot ${slot} is half-way now; \`settle ${slot}\` closes it.`, { cause: error });
  }

  #namesOf(states: readonly ServerState[]): string {
    return this.#listOf(states.map(({ address }) => address));
  }

  #listOf(addresses: readonly string[]): string {
    return addresses.map((address) => this.said(address)).join(", ");
  }
}

function checkSlot(slot: number): void {
  if (Number.isInteger(slot) && slot >= 0 && slot < SLOT_COUNT) return;
  throw new InvalidArgumentError(`the slot is ${slot}; accepted is a whole number from 0 to ${SLOT_COUNT - 1}.`);
}

function possessive(name: string): string {
  return `${name}'s`;
}

function stillOpen(slots: readonly number[]): string[] {
  return slots.map((slot) => `slot ${slot} is still half-way: \`settle ${slot}\` closes it`);
}

function withDetails(details: readonly string[]): Pick<Done, "details"> {
  return details.length === 0 ? {} : { details };
}
