import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, type Message, type SubscribeOptions, type Subscription } from "../../src/index.ts";

/*
 * A process of its own that ends subscriptions in every way, and then has to exit by itself. The arguments are the nodes,
 * each as address=pid: some are stopped for a while. A line of output tells what each way has left behind.
 */

const nodes = process.argv.slice(2).map((each) => each.split("=") as [address: string, pid: string]);
const addresses = nodes.map(([address]) => address);
const signalAll = (signal: NodeJS.Signals) => {
  for (const [, pid] of nodes) process.kill(Number(pid), signal);
};
const KINDS = ["subscribe", "psubscribe", "ssubscribe", "keyspaceEvents"] as const;
/** Enough to have every step on the way under way once: the connection, the handshake, the question, the answer. */
const MOST_TURNS = 12;
/** Every node that is frozen is found silent within this time. */
const SILENT_MS = 20_000;

type Listener = (message: Message) => unknown;
interface Way {
  readonly name: string;
  readonly end: (client: Cluster) => Promise<unknown>;
}

const begin = (client: Cluster, listener?: Listener, options?: SubscribeOptions) =>
  KINDS.map((kind) => client[kind]("{n}*", listener, options));
const begun = (client: Cluster, listener?: Listener, options?: SubscribeOptions) =>
  Promise.all(begin(client, listener, options));
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}
/** Each is settled within the time, one way or the other. */
async function settled(what: string, promises: readonly Promise<unknown>[], withinMs = 8000): Promise<void> {
  let late = false;
  const timer = new AbortController();
  const limit = sleep(withinMs, undefined, { signal: timer.signal }).then(
    () => {
      late = true;
    },
    () => {},
  );
  await Promise.race([Promise.allSettled(promises), limit]);
  timer.abort();
  if (late) throw new Error(`${what}: not settled within ${withinMs} ms`);
}
const endings = (all: readonly Subscription[]) => all.map(({ ended }) => ended);
async function publish(client: Cluster): Promise<void> {
  await client.command("PUBLISH", "{n}*", "x");
  await client.command("SPUBLISH", "{n}*", "x");
  await client.command("SET", "{n}key", "x");
}

/** Subscriptions in a gap, because no node answers. */
async function frozen(client: Cluster): Promise<{ all: Subscription[]; controller: AbortController }> {
  const controller = new AbortController();
  let gaps = 0;
  const onGap = () => {
    gaps++;
  };
  const all = await begun(client, undefined, { onGap, signal: controller.signal });
  signalAll("SIGSTOP");
  const until = performance.now() + SILENT_MS;
  while (gaps < KINDS.length && performance.now() < until) await sleep(20);
  if (gaps < KINDS.length) throw new Error(`only ${gaps} gaps`);
  return { all, controller };
}

const WAYS: Way[] = [
  {
    name: "close() while loops wait",
    end: async (client) => {
      const all = await begun(client);
      const loops = all.map(async (subscription) => {
        for await (const _ of subscription.events());
      });
      await client.close();
      await settled("loops", [...loops, ...endings(all)]);
    },
  },
  {
    name: "destroy() with a listener",
    end: async (client) => {
      const all = await begun(client, () => {});
      client.destroy();
      await settled("ended", endings(all));
      await settled(
        "close after it",
        all.map((subscription) => subscription.close()),
      );
    },
  },
  {
    name: "each closed, then close()",
    end: async (client) => {
      const all = await begun(client);
      await settled(
        "closes",
        all.map((subscription) => subscription.close()),
      );
      await client.close();
    },
  },
  ...(["destroy", "close", "abort"] as const).flatMap((how) =>
    Array.from({ length: MOST_TURNS }, (_, count): Way => {
      const end = async (client: Cluster) => {
        const controller = new AbortController();
        const all = begin(client, undefined, { signal: controller.signal });
        await turns(count);
        if (how === "destroy") client.destroy();
        if (how === "close") await settled("close", [client.close()]);
        if (how === "abort") controller.abort();
        await settled("subscribing", all);
        for (const result of await Promise.allSettled(all)) {
          if (result.status === "fulfilled") await settled("ended", [result.value.ended]);
        }
        await client.close();
      };
      return { name: `${how} after ${count} turns`, end };
    }),
  ),
  {
    name: "all ends from within listeners",
    end: async (client) => {
      const all: Subscription[] = [];
      const heard: string[] = [];
      for (const [index, kind] of KINDS.entries()) {
        all.push(
          await client[kind]("{n}*", () => {
            heard.push(kind);
            void all[index]?.close();
            // A listener may also begin something while it is called, and end it at once.
            void client[kind](["{n}other", "{n}*"], () => {}).then((other) => other.close());
          }),
        );
      }
      await publish(client);
      await settled("ended", endings(all));
      await settled("other", [client.close()]);
      if (new Set(heard).size !== KINDS.length || heard.length !== KINDS.length) throw new Error(`heard ${heard}`);
    },
  },
  {
    name: "destroy() from within a listener",
    end: async (client) => {
      const all = await begun(client, () => client.destroy());
      await publish(client).catch(() => {});
      await settled("ended", endings(all));
    },
  },
  {
    name: "a subscription that is never closed, and a client that is",
    end: async (client) => {
      await begun(client, () => {});
      await sleep(1100);
      await settled("close", [client.close()]);
    },
  },
  {
    name: "frozen: destroy() before the confirmation",
    end: async (client) => {
      signalAll("SIGSTOP");
      const all = begin(client);
      await sleep(50);
      client.destroy();
      await settled("subscribing", all);
    },
  },
  {
    name: "frozen: each closed at once",
    end: async (client) => {
      const all = await begun(client);
      signalAll("SIGSTOP");
      await settled(
        "closes",
        all.map((subscription) => subscription.close()),
      );
      client.destroy();
    },
  },
  {
    name: "frozen: each closed in the gap",
    end: async (client) => {
      const { all } = await frozen(client);
      await settled(
        "closes",
        all.map((subscription) => subscription.close()),
      );
      client.destroy();
    },
  },
  {
    name: "frozen: close() in the gap",
    end: async (client) => {
      const { all } = await frozen(client);
      await settled("close", [client.close()]);
      await settled("ended", endings(all));
    },
  },
  {
    name: "frozen: aborted in the gap, begun again there, and closed after it",
    end: async (client) => {
      const { all, controller } = await frozen(client);
      controller.abort();
      await settled("ended", endings(all));
      const again = begin(client);
      await sleep(200);
      signalAll("SIGCONT");
      await settled("begun again", again);
      await settled(
        "closes",
        (await Promise.all(again)).map((subscription) => subscription.close()),
      );
      await settled("close", [client.close()]);
    },
  },
];

process.on("unhandledRejection", (error) => {
  console.log(`unhandled: ${(error as Error).stack}`);
});
for (const { name, end } of WAYS) {
  const client = await connect({ nodes: addresses });
  let result = "ok";
  try {
    await end(client);
  } catch (error) {
    result = (error as Error).message;
    client.destroy();
  }
  signalAll("SIGCONT");
  // What is closed is gone some turns later.
  const held = () => process.getActiveResourcesInfo().filter((each) => !/^(Pipe|File|TTY)/.test(each));
  for (let look = 0; look < 100 && held().length > 0; look++) await turns(10);
  if (held().length > 0) result += `; left: ${held().join(", ")}`;
  console.log(`${result} | ${name}`);
}
console.log(`done: ${WAYS.length}`);
