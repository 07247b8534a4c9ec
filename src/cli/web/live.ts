import type { StudyEvent } from "../study/events.ts";
import { helloOf } from "./hello.ts";
import { LiveRecord } from "./live-record.ts";
import { LiveServer, type LiveSource } from "./live-server.ts";
import type { Done, Hello } from "./protocol.ts";

type Distributed<E> = E extends unknown ? Omit<E, "seq" | "at"> : never;
/** An event that has no place in the record yet. */
export type Unplaced = Distributed<StudyEvent>;

/** The live page of a cluster, from the recorder to the server. */
export class Live {
  readonly record = new LiveRecord();
  readonly #server: LiveServer;

  private constructor(server: LiveServer) {
    this.#server = server;
  }

  static async open({ port, mode }: { port: number; mode: Hello["mode"] }): Promise<Live> {
    const record = new LiveRecord();
    const source: LiveSource = {
      record,
      hello: () => helloOf({ mode, server: "", controls: [], scripts: [], lessons: [], began: Date.now() }),
      perform: async (): Promise<Done> => ({ ok: false, error: "not yet" }),
      recordPage: async () => "",
    };
    return new Live(await LiveServer.start(source, port));
  }

  get url(): string {
    return this.#server.url;
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
