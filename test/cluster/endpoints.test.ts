import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import { openConnection } from "../../src/connection/open-connection.ts";
import { connect } from "../../src/index.ts";
import { SLOT_COUNT } from "../../src/protocol/hash-slot.ts";
import { environmentFor, findServer } from "../../src/testing/server-binary.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

/** Two hosts of the loopback network that share a port, as two containers do. */
const HOSTS = ["127.0.1.1", "127.0.1.2"] as const;
const PORT = 17_920;

const isLinux = process.platform === "linux";

describe("servers that prefer host names and have none, on hosts that share a port", { timeout: 30_000 }, () => {
  it("are two nodes, and serve all keys", { skip: !isLinux && "other systems have 127.0.0.1 only" }, async (test) => {
    const { path, libraryPath, version } = await findServer();
    if (/v=[0-6]\./.test(version)) return test.skip("this server knows no names of nodes");
    const folders = HOSTS.map(() => mkdtempSync(join(tmpdir(), "slotwire-")));
    const servers = HOSTS.map((host, index) => {
      const network = ["--port", `${PORT}`, "--bind", host, "--cluster-announce-ip", host, "--protected-mode", "no"];
      const mode = ["--cluster-enabled", "yes", "--cluster-preferred-endpoint-type", "hostname", "--save", ""];
      const args = [...network, ...mode, "--dir", folders[index] as string];
      return spawn(path, args, { stdio: "ignore", env: environmentFor(libraryPath) });
    });
    const command = async (host: string, ...args: (string | number)[]) => {
      const connection = await openConnection({
        address: host,
        endpoint: { host, port: PORT, tls: undefined },
        environment: nodeEnvironment,
        connectTimeoutMs: 5000,
        connectionName: undefined,
        readOnly: false,
        credentials: () => undefined,
      });
      const reply = await connection.exchange(["CLUSTER", ...args])[0];
      connection.close(new Error("done"));
      return String(reply);
    };
    try {
      await sleep(500);
      const half = Array.from({ length: SLOT_COUNT / 2 }, (_, slot) => slot);
      await command(HOSTS[0], "ADDSLOTS", ...half);
      await command(HOSTS[1], "ADDSLOTS", ...half.map((slot) => slot + SLOT_COUNT / 2));
      await command(HOSTS[0], "MEET", HOSTS[1], PORT);
      for (const host of HOSTS) while (!/cluster_state:ok/.test(await command(host, "INFO"))) await sleep(50);
      const client = await connect({ nodes: [`${HOSTS[0]}:${PORT}`] });
      try {
        for (const slot of [500, 12_000]) assert.equal(await client.command("SET", keyForSlot(slot), "v"), "OK");
        assert.deepEqual(client.topology.nodes.map(({ host }) => host).toSorted(), [...HOSTS]);
      } finally {
        client.destroy();
      }
    } finally {
      for (const server of servers) server.kill("SIGKILL");
      await sleep(100);
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    }
  });
});
