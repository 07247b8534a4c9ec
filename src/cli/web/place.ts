import type { Script } from "../../scripts/script.ts";
import type { LocalActions } from "../local-actions.ts";
import type { Session } from "../session.ts";
import type { ServerState } from "../study/events.ts";
import type { Happening } from "../study/recorder.ts";
import type { WireListener } from "../study/wire-tap.ts";
import type { LiveRecord } from "./live-record.ts";
import type { LostReplies } from "./lost-reply.ts";
import type { PageCalls } from "./page-calls.ts";
import type { ServersPoll } from "./servers-poll.ts";

/** Everything that the page's controls work with. */
export interface Place {
  readonly actions: LocalActions;
  /** The session of the one client whose calls are shown. */
  readonly session: Session;
  readonly servers: ServersPoll;
  readonly record: LiveRecord;
  /** Hears the bytes of the calls, with their arguments or without. */
  readonly bytes: WireListener;
  readonly lost: LostReplies;
  readonly calls: PageCalls;
  /** The scripts that can be called, by name. */
  readonly scripts: ReadonlyMap<string, Script>;
  /** Adds an event to the record. */
  note(event: Happening): void;
  /** Tells the record of something that was done. */
  tell(name: string, text: string, state: "done" | "failed"): void;
  /** The number of the newest call in the record's client; 0 before the first. */
  newestCall(): number;
}

/** How the texts of the page name a node. The page shows it in the node's colour. */
export const named = ({ name }: Pick<ServerState, "name">) => `[${name}]`;
