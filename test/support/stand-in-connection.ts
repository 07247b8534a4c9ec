import type { Connection } from "../../src/connection/connection.ts";
import type { Request } from "../../src/connection/request.ts";
import type { Argument, Reply } from "../../src/protocol/reply.ts";

/** Notes what is asked and written; SCRIPT EXISTS is answered by `exists`. */
export class StandInConnection {
  readonly address = "10.0.0.1:7000";
  readonly openedInMs = 0;
  closed = false;
  readonly asked: (readonly Argument[])[] = [];
  readonly loads: Request[] = [];
  exists: (shas: readonly Argument[]) => Promise<Reply>;

  constructor(exists: (shas: readonly Argument[]) => Promise<Reply>) {
    this.exists = exists;
  }

  exchange(command: readonly Argument[]): Promise<Reply>[] {
    this.asked.push(command);
    return [this.exists(command.slice(2))];
  }

  writeFrom(queue: { shift(): Request | undefined }): void {
    if (this.closed) return;
    for (let request = queue.shift(); request !== undefined; request = queue.shift()) this.loads.push(request);
  }

  get asConnection(): Connection {
    return this as unknown as Connection;
  }
}
