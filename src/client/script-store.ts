import type { Clock } from "../environment.ts";
import { InvalidArgumentError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { isLibrary, type Library, libraryOfFunction } from "../scripts/library.ts";
import type { Loadable } from "../scripts/loadable.ts";
import type { LoadEnd } from "../scripts/loaded-scripts.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import { isScript, type Script } from "../scripts/script.ts";
import { type RegisteredScript, ScriptRegistry, type ScriptSource } from "../scripts/script-registry.ts";
import type { Turns } from "../scripts/turns.ts";
import type { ClientInfo } from "../telemetry/channels.ts";
import { preloadChannel } from "../telemetry/channels.ts";
import { infoOf } from "../telemetry/script-trace.ts";
import { nextSeq } from "../telemetry/sequence.ts";
import { ensure } from "./script-audits.ts";
import { whileAlive } from "./while-alive.ts";

/** @throws {InvalidArgumentError} A value is neither a script nor a library. */
export function checkScripts(scripts: readonly unknown[]): void {
  for (const script of scripts) {
    if (isScript(script) || isLibrary(script)) continue;
    throw new InvalidArgumentError(
      `preload: a script is ${kindOf(script)}; accepted is what defineScript or defineLibrary returns.`,
    );
  }
}

/** A script in a report. */
export interface ScriptName {
  /** The name from the script's definition. Names need not be unique. */
  readonly name: string;
  /** The SHA-1 of the source. */
  readonly sha: string;
}

/** The scripts on one node, as the client believes. */
export interface NodeScripts {
  /** The node's address, as announced. */
  readonly address: string;
  /** The node's role in the current topology. */
  readonly role: "primary" | "replica";
  /** The scripts that the node is believed to hold. */
  readonly loaded: readonly ScriptName[];
  /** The scripts that the node does not hold, each with the reason. */
  readonly failed: readonly (ScriptName & {
    /** The node's answer, or why the node could not be asked. */
    readonly cause: Error;
  })[];
}

/** The result of `preload` and `scripts`: an entry for each known node. */
export type PreloadReport = readonly NodeScripts[];

const NOT_THERE = { script: "not answered yet", library: "not answered yet, or not replicated yet" };

/** The scripts and libraries of a client, and their way to every node. */
export class ScriptStore {
  readonly registry: ScriptRegistry;
  readonly #nodes: () => readonly ClusterNode[];
  readonly #clock: Clock;
  readonly #client: ClientInfo;
  readonly #patienceMs: number;

  /**
   * @param registry    The scripts and libraries that every node is to hold from the beginning.
   * @param patienceMs  Milliseconds that a silent node is waited for.
   */
  constructor(
    registry: ScriptRegistry,
    nodes: () => readonly ClusterNode[],
    clock: Clock,
    client: ClientInfo,
    patienceMs: number,
  ) {
    this.registry = registry;
    this.#nodes = nodes;
    this.#clock = clock;
    this.#client = client;
    this.#patienceMs = patienceMs;
  }

  /** Registers a script or library that every node is to hold. */
  keep(item: Script | Library): RegisteredScript | RegisteredLibrary {
    return keepIn(this.registry, item);
  }

  /**
   * The entry of a script that is run. A script met for the first time is sent to every node in the background, except
   * to `user`, which gets it in the same write as the call.
   */
  registered(script: Script, user: ClusterNode | undefined): RegisteredScript | RegisteredLibrary {
    const library = libraryOfFunction(script);
    const known = library === undefined ? this.registry.get(script.sha) : this.registry.getLibrary(library.sha);
    if (known?.wanted) {
      // Registering a script again makes it the newest of those that were not preloaded.
      if (known.kind === "script") this.registry.register(script);
      return known;
    }
    const registered = library === undefined ? this.registry.register(script) : this.registry.registerLibrary(library);
    for (const { loader, scripts } of this.#nodes()) {
      if (scripts !== user?.scripts && scripts.needsLoad(registered))
        void loader.load(registered, "first-call").catch(() => {});
    }
    return registered;
  }

  /** Registers a script that is about to be loaded. */
  remember(source: ScriptSource): void {
    this.registry.register(source);
  }

  /** The entry of a script by its SHA-1, if nodes should hold the script. */
  wantedScript(sha: string): RegisteredScript | undefined {
    const registered = this.registry.get(sha.toLowerCase());
    return registered?.wanted ? registered : undefined;
  }

  /** Registers scripts and libraries, and loads them on every node. A silent node is waited for during `patienceMs`. */
  async preload(items: readonly (Script | Library)[]): Promise<PreloadReport> {
    const registered = items.map((item) => this.keep(item));
    for (const { scripts } of this.#nodes()) for (const each of registered) scripts.redeliver(each);
    const loads = this.#nodes().map((node) => this.#patiently(node, ensure(node, registered, "preload")));
    await Promise.all(loads);
    const report = this.report(registered);
    if (preloadChannel.hasSubscribers) for (const node of report) this.#tell(node);
    return report;
  }

  /** Registers a script and loads it on every node that can be reached. Resolves to the result of each node. */
  async loadEverywhere(
    source: ScriptSource,
  ): Promise<{ readonly address: string; readonly cause: Error | undefined }[]> {
    const script = this.registry.register(source);
    return Promise.all(
      this.#nodes().map(async (node) => {
        let end: LoadEnd;
        // The end is noted at once, because another caller may load the script again before all nodes have answered.
        const load = node.loader.load(script, "asked").then((how) => {
          end = how;
        });
        await this.#patiently(node, load);
        const { address, pool } = node;
        if (end?.kind === "held") return { address, cause: undefined };
        return { address, cause: end?.kind === "failed" ? end.cause : (pool.cause ?? new Error("not answered yet")) };
      }),
    );
  }

  /** The nodes were told to forget every script, so a script is loaded again only after it is run or preloaded. */
  forgetScripts(): void {
    for (const item of this.registry.all) if (item.kind === "script") item.wanted = false;
    for (const { scripts } of this.#nodes()) scripts.forgetScripts();
  }

  report(scripts: readonly Loadable[] = this.registry.wanted): PreloadReport {
    return this.#nodes().map((node) => reportOn(node, scripts));
  }

  /** Publishes that a new connection of `node` was given the scripts that the node lacked. */
  tellPrepared(node: ClusterNode): void {
    if (preloadChannel.hasSubscribers) this.#tell(reportOn(node, this.registry.wanted));
  }

  #tell({ address, loaded, failed }: NodeScripts): void {
    preloadChannel.publish({
      seq: nextSeq(),
      client: this.#client,
      address,
      loaded: loaded.length,
      failed: failed.length,
      held: loaded,
      missing: failed.map(infoOf),
    });
  }

  #patiently(node: ClusterNode, work: Promise<unknown>): Promise<void> {
    return whileAlive(this.#clock, this.#patienceMs, node, work);
  }
}

function keepIn(registry: ScriptRegistry, item: Script | Library): RegisteredScript | RegisteredLibrary {
  return isLibrary(item) ? registry.registerLibrary(item) : registry.keep(item);
}

/** So many scripts are registered in one piece of work. */
const PIECE = 500;

/** A registry with scripts and libraries that every node is to hold. It is filled in pieces, because there can be many. */
export async function registryOf(items: readonly (Script | Library)[], turns: Turns): Promise<ScriptRegistry> {
  const registry = new ScriptRegistry();
  for (let at = 0; at < items.length; at += PIECE) {
    await turns.run(() => {
      for (const item of items.slice(at, at + PIECE)) keepIn(registry, item);
    });
  }
  return registry;
}

function reportOn({ address, info, pool, scripts: held }: ClusterNode, scripts: readonly Loadable[]): NodeScripts {
  const loaded: ScriptName[] = [];
  const failed: (ScriptName & { cause: Error })[] = [];
  for (const script of scripts) {
    const { name, sha } = script;
    if (held.stateOf(script)?.kind === "held") loaded.push({ name, sha });
    else {
      const cause = held.failureOf(script) ?? pool.cause ?? new Error(NOT_THERE[script.kind]);
      failed.push({ name, sha, cause });
    }
  }
  return { address, role: info.role, loaded, failed };
}
