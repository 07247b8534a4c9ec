import type { Lane } from "../connection/lane.ts";
import { ReplyError } from "../errors.ts";
import type { Refusal } from "../protocol/error-reply.ts";
import type { Remedy } from "../scripts/loaded-scripts.ts";
import type { LoadReason } from "../telemetry/channels.ts";
import { type Call, historyOf } from "./call.ts";
import type { History } from "./call-extras.ts";
import type { ClusterNode } from "./cluster-node.ts";

/** Puts a load in front of a call that is about to be queued on `lane`, if the node lacks the call's script. */
export function loadInFront(call: Call, node: ClusterNode, lane: Lane): void {
  const { registered } = call.kind;
  if (registered === undefined) return;
  // A lane without a connection is given every script before it writes again.
  if (lane.ready) {
    if (node.scripts.needsLoad(registered)) {
      registered.wanted = true;
      load(call, node, lane, "first-call");
    }
  }
  call.stamp = node.scripts.stamp;
}

/**
 * Brings the script of a call to its node, if that lacks it, for a call that another connection than its lane will carry.
 * Resolves when that has succeeded or failed. Undefined where there is nothing to wait for.
 */
export function loadBefore({ lane, node, kind: { registered }, extras }: Call): Promise<void> | undefined {
  if (registered === undefined || node === undefined || lane?.ready !== true) return undefined;
  const state = node.scripts.stateOf(registered);
  if (state?.kind === "loading") return state.done;
  if (!node.scripts.needsLoad(registered)) return undefined;
  registered.wanted = true;
  return node.scripts.loadOn(lane, registered, "first-call", extras?.observer?.context);
}

function load({ kind: { registered }, extras }: Call, node: ClusterNode, lane: Lane, why: LoadReason): void {
  if (registered === undefined) return;
  void node.scripts.loadOn(lane, registered, why, extras?.observer?.context);
  extras?.observer?.onLoad(registered.loadFrame.length);
}

/** How a script that the node lacks can be mended; undefined for a call that runs no registered script. */
export function remedyFor(call: Call): Remedy | undefined {
  const { lane, node } = call;
  const { registered } = call.kind;
  if (registered === undefined || lane === undefined || node === undefined) return undefined;
  const remedy = node.scripts.remedyFor(registered, lane, call.stamp, historyOf(call).mended);
  const done = remedy.kind === "load" ? node.scripts.pace?.restOf(registered) : undefined;
  return done === undefined ? remedy : { kind: "rest", done };
}

/** Prepares the next attempt of a call whose script was missing. */
export function mend(call: Call, node: ClusterNode, remedy: Remedy): void {
  const { lane } = call;
  const { registered } = call.kind;
  if (registered === undefined) return;
  if (remedy.kind === "load" && lane?.ready) load(call, node, lane, "noscript");
  if (remedy.kind === "eval" && registered.kind === "script") {
    call.frame = registered.evalFrame(call.frame);
    historyOf(call).evalEnded = node.scripts.loadByEval(lane, registered, call.extras?.observer?.context);
  }
}

/** Encodes the call without EVALSHA_RO, because the servers are too old for it. */
export function doWithoutReadOnlyVariant(call: Call): void {
  const { registered } = call.kind;
  if (registered?.kind !== "script") return;
  registered.noteNoReadOnlyVariants();
  call.frame = registered.plainFrame(call.frame);
}

/** Tells the calls that wait for a script how its EVAL ended, when that was refused. */
export function tellEvalEnded(history: History, refusal: Refusal, text: string): void {
  const ended = history.evalEnded;
  if (ended === undefined) return;
  history.evalEnded = undefined;
  if (refusal.kind === "other" || refusal.kind === "readonly-within") ended("held");
  else if (refusal.kind === "noperm") ended({ cause: new ReplyError(text, "not-executed"), final: true });
  else ended("lost");
}
