import { spawn } from "node:child_process";
import { SLOT_COUNT } from "../../src/protocol/hash-slot.ts";
import { parseAddress } from "../../src/protocol/node-address.ts";
import { Guard } from "../../src/testing/guard.ts";
import { environmentFor, findServer } from "../../src/testing/server-binary.ts";
import { ServerHerd, ServerProcess } from "../../src/testing/server-process.ts";

/** A server that takes the address of a node that is dead. */
export interface Stranger {
  command: ServerProcess["command"];
  /** The commands that it was sent, besides those of the test, by its own count. */
  readonly received: () => Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts a server at `address`: one without cluster mode, or a cluster of its own that owns every slot. */
export async function startStranger(address: string, kind: "plain" | "other-cluster"): Promise<Stranger> {
  const herd = new ServerHerd();
  const port = parseAddress(address)?.port as number;
  const args = kind === "plain" ? ["--cluster-enabled", "no"] : [];
  const settings = { binary: await findServer(), args, certificate: undefined };
  const server = await ServerProcess.start(herd, settings, async () => port);
  if (kind === "other-cluster") {
    await server.command("CLUSTER", "ADDSLOTS", ...Array.from({ length: SLOT_COUNT }, (_, slot) => slot));
  }
  await server.command("CONFIG", "RESETSTAT");
  return {
    command: (...command) => server.command(...command),
    received: async () => {
      const info = String(await server.command("INFO", "commandstats"));
      return [...info.matchAll(/^cmdstat_([^:]+):/gm)].map(([, name]) => name as string);
    },
    stop: async () => {
      await server.kill();
      await herd.release();
    },
  };
}

const guard = new Guard();

/** Starts a node again that was killed, with what is left in its folder: its id, and no data. Returns what ends it. */
export async function startAgain(address: string, folder: string): Promise<() => Promise<void>> {
  const port = String(parseAddress(address)?.port);
  const { path, libraryPath } = await findServer();
  const own = ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
  const cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
  const child = spawn(path, [...own, ...cluster], { cwd: folder, env: environmentFor(libraryPath), stdio: "ignore" });
  guard.watch(child);
  return () =>
    new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.kill("SIGKILL");
    });
}
