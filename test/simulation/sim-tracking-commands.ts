import { ErrorReply, OK, type Value } from "./resp.ts";
import type { Command } from "./sim-commands.ts";
import type { NodeSession } from "./sim-session.ts";

type Definition = Partial<Command> & Pick<Command, "run">;

/** CLIENT TRACKING ON REDIRECT id, CLIENT TRACKING OFF. */
function track(session: NodeSession, args: readonly string[]): Value {
  const words = args.slice(2).map((word) => word.toLowerCase());
  if (words[0] === "off") {
    session.redirect = undefined;
    return OK;
  }
  const redirect = Number(words[words.indexOf("redirect") + 1]);
  if (words[0] !== "on" || !words.includes("redirect")) {
    return new ErrorReply("ERR Client tracking can be enabled only in RESP3 mode or with REDIRECT");
  }
  const before = session.redirect;
  session.redirect = redirect;
  if (session.node.tracking.hearerOf(session) === undefined) {
    session.redirect = before;
    return new ErrorReply("ERR The client ID you want redirect to does not exist");
  }
  session.isRedirectBroken = false;
  return OK;
}

function trackingInfo(session: NodeSession): Value {
  const { redirect, isRedirectBroken, node } = session;
  if (redirect === undefined) return ["flags", ["off"], "redirect", -1, "prefixes", []];
  const isBroken = isRedirectBroken || node.tracking.hearerOf(session) === undefined;
  return ["flags", isBroken ? ["on", "broken_redirect"] : ["on"], "redirect", redirect, "prefixes", []];
}

export const TRACKING_COMMANDS: Readonly<Record<string, Definition>> = {
  "client|tracking": { whileLoading: true, run: track },
  "client|trackinginfo": { whileLoading: true, run: trackingInfo },
  "client|getredir": { whileLoading: true, run: ({ redirect }) => redirect ?? -1 },
};
