import { nodeEnvironment } from "../../connection/node-environment.ts";
import type { Script } from "../../scripts/script.ts";
import type { LocalActions } from "../local-actions.ts";
import { Session } from "../session.ts";
import type { StudyEvent } from "../study/events.ts";
import { Recorder } from "../study/recorder.ts";
import { Servers } from "../study/servers.ts";
import { type WireListener, WireTap } from "../study/wire-tap.ts";
import { CONTROL_NAMES, Controls } from "./controls.ts";
import { helloOf } from "./hello.ts";
import { LESSON_TITLES } from "./lessons.ts";
import { LiveRecord } from "./live-record.ts";
import { LiveServer } from "./live-server.ts";
import { LostReplies } from "./lost-reply.ts";
import { PageCalls } from "./page-calls.ts";
import { scriptsByName } from "./page-scripts.ts";
import type { Place } from "./place.ts";
import type { Hello } from "./protocol.ts";
import { recordPage } from "./record-page.ts";
import { ServersPoll } from "./servers-poll.ts";

const LOOK_EVERY_MS = 300;
/** The servers are asked for so many scripts at most: those of the page, and those of other calls. */
const MOST_SCRIPTS = 64;

/** What a live page of a local cluster needs. */
export interface LiveClusterOptions {
  readonly actions: LocalActions;
  /** The user's scripts that the page can call. */
  readonly scripts: readonly Script[];
  /** 0 for a free one. */
  readonly port: number;
}

/**
 * The live page of a local cluster, with all controls.
 *
 *   client --channels--> recorder --.
 *   client's bytes ------> tap -----+--> record --> server --> pages
 *   servers' own word ---> poll ----'                 |
 *   servers and client <--------- controls <----------'
 */
export class LiveCluster {
  /** The session of the client whose calls are shown. The shell uses it as well. */
  readonly session: Session;
  readonly #recorder: Recorder;
  readonly #servers: ServersPoll;
  readonly #server: LiveServer;
  readonly #controls: Controls;

  static async open({ actions, scripts, port }: LiveClusterOptions): Promise<LiveCluster> {
    const began = Date.now();
    const { local } = actions;
    const byName = scriptsByName(scripts);
    const record = new LiveRecord();
    // The shell's `explain` hears the same tap, and shows what its user has typed.
    const tap = new WireTap({ showsArguments: true });
    const lost = new LostReplies();
    const heard = new Heard([...byName.values()]);
    const recorder = new Recorder({
      onEvent(event) {
        tap.hear(event);
        heard.hear(event);
        record.add(event);
      },
    });
    const bytes: WireListener = { showsArguments: false, hear: (event) => void recorder.add(event) };
    tap.others.add(bytes);
    recorder.startWithNext();
    const options = { ...local.connectOptions, scripts: [...byName.values()], topologyRefreshInterval: 0 };
    const session = await Session.openTapped(options, {
      tap,
      environment: lost.over(nodeEnvironment),
      names: actions.servers.names,
    });
    const closing: (() => unknown)[] = [() => recorder.stop(), () => session.close()];
    try {
      const servers = new ServersPoll(await Servers.find(local.connectOptions, actions.servers.names), {
        everyMs: LOOK_EVERY_MS,
        scripts: () => heard.shas,
        onChange: (nodes) => void recorder.add({ type: "servers", nodes }),
      });
      closing.push(() => servers.close());
      heard.onSlot = (slot) => servers.touch(slot);
      await servers.begin();
      const place: Place = {
        actions,
        session,
        servers,
        record,
        bytes,
        lost,
        scripts: byName,
        calls: new PageCalls(() => place),
        note: (event) => void recorder.add(event),
        tell: (name, text, state) => controls.tell(name, text, state),
        newestCall: () => heard.newestCall,
      };
      const controls = new Controls(place);
      const hello: Hello = helloOf({
        mode: "cluster",
        server: productOf(local.version),
        controls: CONTROL_NAMES,
        scripts: [...byName.values()].map((script) => ({
          name: script.name,
          sha: script.sha,
          source: script.source,
          numberOfKeys: script.numberOfKeys ?? null,
        })),
        lessons: LESSON_TITLES,
        began,
      });
      const source = {
        record,
        hello: () => ({ ...hello, showsArguments: bytes.showsArguments }),
        perform: (asked: Readonly<Record<string, unknown>>) => controls.perform(asked),
        recordPage: async () => recordPage(hello, record.state()),
      };
      const server = await LiveServer.start(source, port);
      return new LiveCluster({ session, recorder, servers, server, controls });
    } catch (error) {
      for (const close of closing) close();
      throw error;
    }
  }

  private constructor(parts: {
    readonly session: Session;
    readonly recorder: Recorder;
    readonly servers: ServersPoll;
    readonly server: LiveServer;
    readonly controls: Controls;
  }) {
    this.session = parts.session;
    this.#recorder = parts.recorder;
    this.#servers = parts.servers;
    this.#server = parts.server;
    this.#controls = parts.controls;
  }

  /** The page's address. */
  get url(): string {
    return this.#server.url;
  }

  /** The bytes that wait for pages to read them. */
  get unreadBytes(): number {
    return this.#server.unreadBytes;
  }

  /** Tells the page of something that was done in the shell. */
  tell(name: string, text: string, state: "done" | "failed"): void {
    this.#controls.tell(name, text, state);
  }

  /** Ends the server and the session. The cluster itself is not ended. */
  async close(): Promise<void> {
    this.#recorder.stop();
    this.#servers.close();
    this.session.close();
    await this.#server.close();
  }
}

/** What the record tells of calls that others need to know. */
class Heard {
  /** The SHA-1s of the scripts that are known, oldest first. */
  readonly shas: string[];
  newestCall = 0;
  onSlot: (slot: number) => void = () => {};
  readonly #known: Set<string>;

  constructor(scripts: readonly Script[]) {
    this.shas = scripts.map(({ sha }) => sha);
    this.#known = new Set(this.shas);
  }

  hear(event: StudyEvent): void {
    if (event.type !== "call") return;
    this.newestCall = event.call;
    this.onSlot(event.slot);
    const { script } = event;
    // SCRIPT EXISTS knows no libraries of functions.
    if (script === null || !event.command.startsWith("EVAL")) return;
    if (this.#known.has(script.sha) || this.shas.length >= MOST_SCRIPTS) return;
    this.#known.add(script.sha);
    this.shas.push(script.sha);
  }
}

/** `Redis 7.0.15` in the line that a server program prints for `--version`. */
export function productOf(version: string): string {
  const [, name = "", number = ""] = /^(\w+) server v=(\S+)/.exec(version) ?? [];
  return name === "" ? "" : `${name} ${number}`;
}
