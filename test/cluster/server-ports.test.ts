import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { findServer } from "../../src/testing/server-binary.ts";
import { ServerHerd, ServerProcess, type ServerSettings } from "../../src/testing/server-process.ts";

describe("the ports of local servers", () => {
  const herd = new ServerHerd();
  let settings: ServerSettings;
  before(async () => {
    settings = { binary: await findServer(), args: [], certificate: undefined };
  });
  after(() => herd.release());

  it("are others where one was taken between the look and the start, even by a server", async () => {
    const first = await ServerProcess.start(herd, settings);
    const other = new ServerHerd();
    try {
      const second = await ServerProcess.start(other, settings, firstTrying(first.port));
      assert.notEqual(second.port, first.port);
      assert.notEqual(await runId(second), await runId(first));
    } finally {
      await other.release();
      await first.kill();
    }
  });

  it("are others where the port for the other nodes was taken", async () => {
    const port = anyPort();
    const squatter = createServer().listen(port + 10_000, "127.0.0.1");
    try {
      const server = await ServerProcess.start(herd, settings, firstTrying(port));
      assert.notEqual(server.port, port);
      await server.kill();
    } finally {
      squatter.close();
    }
  });

  it("do not hide another failure to start", async () => {
    const wrong: ServerSettings = { ...settings, args: ["--maxmemory-policy", "nonsense"] };
    await assert.rejects(ServerProcess.start(herd, wrong), /did not start\. Its log ends with:[\s\S]*maxmemory-policy/);
  });
});

function firstTrying(port: number): () => Promise<number> {
  const ports = [port];
  return async () => ports.pop() ?? anyPort();
}

async function runId(server: ServerProcess): Promise<string | undefined> {
  return /run_id:(\w+)/.exec(String(await server.command("INFO", "server")))?.[1];
}

/** Below those that systems give to clients, with its bus port. */
function anyPort(): number {
  return 11_000 + Math.floor(Math.random() * 11_000);
}
