import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { after, before, describe, it } from "node:test";
import { type ConnectOptions, connect, UnavailableError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const WORDS = [
  "ERR max number of clients reached",
  "ERR max number of clients + cluster connections reached",
  "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface.",
];

const later = <T>(ms: number, value: T) => new Promise<T>((resolve) => setTimeout(() => resolve(value), ms));

describe("what a server says before it closes a connection", () => {
  let server: Server;
  let words = "";
  let address = "";
  before(async () => {
    // As servers do: the words come with the acceptance, and nothing is read.
    server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on("error", () => {});
      socket.write(`-${words}\r\n`, () => socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  after(() => server.close());

  const ways: [string, Partial<ConnectOptions>][] = [
    ["nothing but PING is sent", {}],
    ["a login is sent", { username: "u", password: "p" }],
    ["a name is sent", { connectionName: "worker" }],
    ["the credentials come after the words", { credentials: () => later(50, { password: "p" }) }],
  ];
  for (const text of WORDS) {
    for (const [when, options] of ways) {
      it(`is the error of connect when ${when}: ${text.slice(0, 40)}`, async () => {
        words = text;
        await assert.rejects(connect({ nodes: [address], connectTimeout: 500, ...options }), (thrown: unknown) => {
          if (!(thrown instanceof UnavailableError)) throw thrown;
          assert.equal(thrown.message, `No node could be asked for the cluster's topology: ${address} (${text}).`);
          return true;
        });
      });
    }
  }

  it("is the error of connect after a stall, too", async () => {
    words = WORDS[0] as string;
    const connecting = connect({ nodes: [address], connectTimeout: 500 });
    const end = performance.now() + 100;
    while (performance.now() < end);
    await assert.rejects(connecting, { message: /\(ERR max number of clients reached\)/ });
  });

  it("is in the error of a call, when a node that was connected takes no more clients", async () => {
    const cluster = await FakeCluster.start(1);
    try {
      const client = await cluster.connect({ commandTimeout: 200 });
      cluster.node(0).always("PING", () => error(WORDS[0] as string));
      cluster.node(0).dropConnections();
      await assert.rejects(client.command("GET", keyForSlot(0)), { message: /ERR max number of clients reached/ });
    } finally {
      await cluster.stop();
    }
  });
});
