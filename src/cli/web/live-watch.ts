import type { ConnectOptions } from "../../options.ts";
import type { Script } from "../../scripts/script.ts";
import { Recorder } from "../study/recorder.ts";
import { Servers } from "../study/servers.ts";
import { helloOf } from "./hello.ts";
import { LiveRecord } from "./live-record.ts";
import { LiveServer } from "./live-server.ts";
import type { Hello } from "./protocol.ts";
import { recordPage } from "./record-page.ts";
import { ServersPoll } from "./servers-poll.ts";

const LOOK_EVERY_MS = 500;

/** What a page that only watches needs. */
export interface LiveWatchOptions {
  readonly connection: ConnectOptions;
  /** The scripts that the servers are asked for by SCRIPT EXISTS. */
  readonly scripts: readonly Script[];
  /** 0 for a free one. */
  readonly port: number;
}

/** The live page of an existing cluster. Nothing is changed: the servers are only asked for what they know. */
export class LiveWatch {
  readonly #servers: ServersPoll;
  readonly #server: LiveServer;

  /** @throws As `Servers.find`: no seed can be reached, or they refuse the credentials. */
  static async open({ connection, scripts, port }: LiveWatchOptions): Promise<LiveWatch> {
    const began = Date.now();
    const record = new LiveRecord();
    // There is no client whose channels could be heard.
    const recorder = new Recorder({ onEvent: (event) => record.add(event) });
    const shas = scripts.map(({ sha }) => sha);
    const found = await Servers.find(connection);
    const servers = new ServersPoll(found, {
      everyMs: LOOK_EVERY_MS,
      scripts: () => shas,
      onChange: (nodes) => void recorder.add({ type: "servers", nodes }),
    });
    try {
      await servers.begin();
      const hello: Hello = helloOf({
        mode: "watch",
        server: "",
        controls: [],
        scripts: scripts.map(({ name, sha, source, numberOfKeys }) => ({
          name,
          sha,
          source,
          numberOfKeys: numberOfKeys ?? null,
        })),
        lessons: [],
        began,
      });
      const source = {
        record,
        hello: () => hello,
        perform: undefined,
        recordPage: async () => recordPage(hello, record.state()),
      };
      return new LiveWatch(servers, await LiveServer.start(source, port));
    } catch (error) {
      servers.close();
      throw error;
    }
  }

  private constructor(servers: ServersPoll, server: LiveServer) {
    this.#servers = servers;
    this.#server = server;
  }

  /** The page's address. */
  get url(): string {
    return this.#server.url;
  }

  async close(): Promise<void> {
    this.#servers.close();
    await this.#server.close();
  }
}
