import { setTimeout as pause } from "node:timers/promises";
import type { ConnectOptions } from "../../options.ts";
import { type Condition, conditionOf, mayPass } from "./condition.ts";
import type { ServerState } from "./events.ts";
import type { NodeNames } from "./node-names.ts";
import { Servers } from "./servers.ts";

/** News of moved slots and of new nodes reaches every node within about this time. */
const NEWS_MS = 2000;
const ASK_AGAIN_MS = 200;

/** What the servers of a cluster say, and what it means. */
export interface Survey {
  readonly states: readonly ServerState[];
  readonly condition: Condition;
}

/**
 * Asks every server of a cluster. Servers that disagree are asked again for a while, because news takes its time: a move
 * that has just ended is no disagreement.
 * @throws As `Servers.find`.
 */
export async function surveyOf(options: ConnectOptions, names?: NodeNames): Promise<Survey> {
  const servers = await Servers.find(options, names);
  const endsAt = performance.now() + NEWS_MS;
  try {
    for (;;) {
      const states = await servers.ask();
      const condition = conditionOf(states);
      if (!mayPass(condition) || performance.now() >= endsAt) return { states, condition };
      await pause(ASK_AGAIN_MS);
    }
  } finally {
    servers.close();
  }
}
