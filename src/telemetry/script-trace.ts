import {
  type AuditReason,
  auditChannel,
  type ClientInfo,
  type CommandContext,
  type LoadMessage,
  type LoadReason,
  loadChannel,
  type ScriptInfo,
} from "./channels.ts";
import { nextId, nextSeq } from "./sequence.ts";

/** The end of a load, as a trace hears of it. */
type LoadEnd = "held" | "lost" | { readonly cause: { readonly reply: string } };

/** Publishes what a client does for the scripts on one node, and what it believes of them. */
export class ScriptTrace {
  readonly #client: ClientInfo;
  readonly #address: string;

  constructor(client: ClientInfo, address: string) {
    this.#client = client;
    this.#address = address;
  }

  /**
   * A load begins.
   * @param call  The call that the script is loaded for.
   * @returns     What is to be called at its end. Undefined if nobody listens.
   */
  onLoad(
    { name, sha }: ScriptInfo,
    why: LoadReason,
    call: CommandContext | undefined,
  ): ((end: LoadEnd) => void) | undefined {
    if (!loadChannel.hasSubscribers) return undefined;
    const load = nextId(this.#client, "load");
    const tell = (state: LoadMessage["state"], error?: string) => {
      const about = { client: this.#client, load, address: this.#address, script: { name, sha } };
      loadChannel.publish({ seq: nextSeq(), ...about, why, call, state, error });
    };
    tell("begun");
    return (end) => {
      if (typeof end === "string") tell(end);
      else tell("refused", firstWordOf(end.cause.reply));
    };
  }

  /** Whether anybody listens for `onAudit`. */
  get isAuditHeard(): boolean {
    return auditChannel.hasSubscribers;
  }

  /** The node was asked for `asked` scripts, or the client believes something else by another way than a load. */
  onAudit(why: AuditReason, asked: number, held: readonly ScriptInfo[], missing: readonly ScriptInfo[]): void {
    if (!auditChannel.hasSubscribers) return;
    auditChannel.publish({
      seq: nextSeq(),
      client: this.#client,
      address: this.#address,
      why,
      asked,
      held: held.map(infoOf),
      missing: missing.map(infoOf),
    });
  }
}

/** A script as messages name it. */
export function infoOf({ name, sha }: ScriptInfo): ScriptInfo {
  return { name, sha };
}

/** A node may quote the source behind the first word of its error. */
function firstWordOf(text: string): string {
  const [word = ""] = text.split(" ", 1);
  return /^[A-Z][A-Z0-9_]{0,31}$/.test(word) ? word : "ERR";
}
