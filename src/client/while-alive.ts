import type { Clock, Timer } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";

/** So many looks are made within the limit. */
const LOOKS = 8;

/**
 * Resolves when `work` on a node is settled, however that ends, or when the node has given no sign of life for `limitMs`.
 * While loads are written on a slow link no answer comes on their connection, so the node is asked on another one.
 * @param isBusy  Whether nodes wait for this client: then no silence is theirs.
 */
export function whileAlive(
  clock: Clock,
  limitMs: number,
  node: ClusterNode,
  work: Promise<unknown>,
  isBusy: () => boolean = () => false,
): Promise<void> {
  return new Promise((resolve) => {
    let seen = signsOf(node);
    let quietMs = 0;
    let timer: Timer;
    let isOver = false;
    const finish = () => {
      isOver = true;
      timer.cancel();
      resolve();
    };
    const look = () => {
      if (isOver) return;
      const signs = signsOf(node);
      // A look counts for its step, however long this process computed meanwhile.
      quietMs = signs === seen && !isBusy() ? quietMs + limitMs / LOOKS : 0;
      seen = signs;
      if (quietMs >= limitMs) return finish();
      if (node.loader.isBusy) ask(node);
      lookLater();
    };
    const lookLater = () => {
      timer = clock.setTimer(look, limitMs / LOOKS);
    };
    lookLater();
    work.then(finish, finish);
  });
}

/** Changes when bytes have come from the node. */
function signsOf({ loader, pools }: ClusterNode): number {
  let signs = loader.signs;
  for (const { lanes } of pools)
    for (const { connections } of lanes) for (const { received } of connections) signs += received;
  return signs;
}

function ask({ pool }: ClusterNode): void {
  const lane = pool.lanes.find(({ ready }) => ready);
  void lane
    ?.useConnection()
    ?.exchange(["PING"])[0]
    ?.catch(() => {});
}
