import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { RedisPubSub } from "graphql-redis-subscriptions";
import { Server } from "socket.io";
import { io, type Socket } from "socket.io-client";
import { FlushedCluster, until } from "./support/flushed-cluster.ts";

describe("messages, while the scripts are flushed", () => {
  let servers: FlushedCluster;
  before(async () => {
    servers = await FlushedCluster.start();
  });
  after(() => servers?.stop());

  const kinds = {
    "@socket.io/redis-adapter": () => createAdapter(servers.client(), servers.client()),
    "@socket.io/redis-adapter, sharded": () => createShardedAdapter(servers.client(), servers.client()),
    "@socket.io/redis-streams-adapter": () => createStreamsAdapter(servers.client()),
  };
  for (const [name, adapter] of Object.entries(kinds)) {
    it(name, async () => {
      const http = [createServer(), createServer()];
      const sockets = http.map((server) => new Server(server, { adapter: adapter() }));
      const [one, other] = sockets as [Server, Server];
      await Promise.all(http.map(async (server) => once(server.listen(0), "listening")));
      const clients: Socket[] = [];
      try {
        for (const server of http) {
          const client = io(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
            transports: ["websocket"],
          });
          await once(client as never, "connect");
          clients.push(client);
        }
        const heard: string[][] = [[], []];
        for (const [index, client] of clients.entries()) client.on("news", (text) => heard[index]?.push(text));
        // Until each server hears the other, broadcasts stay in one of them.
        await until("both servers know both sockets", async () => {
          const seen = await Promise.all([one, other].map((server) => server.fetchSockets().catch(() => [])));
          return seen.every(({ length }) => length === 2);
        });
        for (let index = 0; index < 20; index++) one.emit("news", `n${index}`);
        const all = Array.from({ length: 20 }, (_, index) => `n${index}`);
        await until("both have heard all", () => heard.every(({ length }) => length === 20));
        assert.deepEqual(heard, [all, all]);
        // A room of the other server, and the binary data in it.
        other.socketsJoin("room");
        await until("all are in the room", async () => (await one.in("room").fetchSockets()).length === 2);
        const binary = once(clients[1] as never, "binary");
        one.to("room").emit("binary", Buffer.from([0, 255, 1]));
        assert.deepEqual([...((await binary)[0] as Buffer)], [0, 255, 1]);
        // Asks every server, and waits for all answers.
        for (const client of clients) client.on("ask", (answer) => answer(client.id));
        const answers = await one.timeout(10_000).emitWithAck("ask");
        assert.deepEqual(answers.sort(), clients.map(({ id }) => id).sort());
        if (name !== "@socket.io/redis-streams-adapter") {
          const replies: unknown[] = [];
          other.on("serverSide", (value, answer) => answer(value * 2));
          replies.push(...(await one.serverSideEmitWithAck("serverSide", 21)));
          assert.deepEqual(replies, [42]);
        }
        other.disconnectSockets();
        await until("all are gone", () => clients.every(({ connected }) => !connected));
      } finally {
        for (const client of clients) client.close();
        await Promise.all(sockets.map((server) => server.close()));
      }
    });
  }

  it("graphql-redis-subscriptions", async () => {
    const pubsub = new RedisPubSub({ publisher: servers.client(), subscriber: servers.client() });
    const got: unknown[] = [];
    const first = await pubsub.subscribe("NEWS", (message) => got.push(message));
    const second = await pubsub.subscribe("NEWS", (message) => got.push(["again", message]));
    const third = await pubsub.subscribe("PAT*", (message) => got.push(["pattern", message]), { pattern: true });
    await pubsub.publish("NEWS", { number: 1 });
    await until("two have come", () => got.length === 2);
    await pubsub.publish("PATTERN", { number: 2 });
    await until("three have come", () => got.length === 3);
    assert.deepEqual(got, [{ number: 1 }, ["again", { number: 1 }], ["pattern", { number: 2 }]]);
    pubsub.unsubscribe(second);
    await pubsub.publish("NEWS", { number: 3 });
    await until("one has come", () => got.length === 4);
    assert.deepEqual(got.at(-1), { number: 3 });
    const observer = servers.client();
    await observer.ping();
    const iterator = pubsub.asyncIterator<{ number: number }>(["A", "B"]);
    const next = iterator.next();
    await until("it is subscribed to both", async () => {
      const counts = await Promise.all(
        observer.nodes("master").map((node) => node.pubsub("NUMSUB", "A", "B") as Promise<unknown[]>),
      );
      return counts.flat().filter((value) => value === 1).length === 2;
    });
    await pubsub.publish("B", { number: 4 });
    assert.deepEqual(await next, { done: false, value: { number: 4 } });
    await iterator.return();
    for (const id of [first, third]) pubsub.unsubscribe(id);
    assert.deepEqual(await pubsub.close(), ["OK", "OK"]);
  });
});
