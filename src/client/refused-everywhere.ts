import { type ReplyError, withParticulars } from "../errors.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Loadable } from "../scripts/loadable.ts";
import { doesNotCompile } from "../scripts/script-error.ts";

/** A node with the script's state there. */
type Holder = Pick<ClusterNode, "address" | "info" | "scripts"> & {
  readonly pool: { readonly ready: boolean };
};

/**
 * The compiler's error of the first of `items` that no node compiles. A node that is not connected proves nothing, and
 * one that has not answered yet may still accept the item.
 */
export function refusedEverywhere(items: readonly Loadable[], nodes: readonly Holder[]): ReplyError | undefined {
  for (const item of items) {
    let refusal: ReplyError | undefined;
    const mayAccept = nodes.some(({ address, info, pool, scripts }) => {
      const state = scripts.stateOf(item);
      // No state: the node forbids loads, so a call brings its source. A replica gets its libraries from its primary.
      if (state === undefined) return pool.ready && info.role === "primary";
      if (state.kind !== "failed") return true;
      if (!doesNotCompile(state.cause.reply)) return true;
      refusal ??= withParticulars(state.cause, { command: item.name, isScript: true, address });
      return false;
    });
    if (!mayAccept && refusal !== undefined) return refusal;
  }
  return undefined;
}
