import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectTcp, type LookupFunction, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { after, afterEach, before, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, connect, defineScript, type SocketEndpoint } from "../../src/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";

const incr = defineScript({ name: "incr", source: "return redis.call('INCR', KEYS[1])", numberOfKeys: 1 });

describe("sockets", () => {
  const folder = mkdtempSync(join(tmpdir(), "slotwire-sockets-"));
  const path = join(folder, "server.sock");
  let server: SingleServer;
  let client: Cluster | undefined;
  before(async () => {
    server = await startSingle("--unixsocket", path, "--protected-mode", "no");
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true });
  });
  afterEach(() => client?.destroy());
  const open = async (options: ConnectOptions) => {
    client = await connect({ scripts: [incr], ...options });
    return client;
  };
  /** The address from which the server sees the client. */
  const seenFrom = async (cluster: Cluster) => {
    const id = await cluster.command("CLIENT", "ID");
    const list = String(await server.command("CLIENT", "LIST"));
    return new RegExp(`^id=${id} addr=(\\S+)`, "m").exec(list)?.[1] ?? "";
  };

  it("may be a server's socket file, which names the node", async () => {
    const cluster = await open({ nodes: [{ path }] });
    await server.command("DEL", "by path");
    assert.equal(await cluster.run(incr, ["by path"]), 1);
    assert.ok((await seenFrom(cluster)).includes(`${path}:0`), "the server sees another way");
    assert.deepEqual(
      cluster.topology.nodes.map(({ address }) => address),
      [path],
    );
    await assert.rejects(cluster.command("INCR", "by path", "too", "many"), { address: path, message: /server\.sock/ });
    await server.command("CLIENT", "KILL", "TYPE", "normal");
    assert.equal(await cluster.command("GET", "by path").catch(() => cluster.command("GET", "by path")), "1");
  });

  it("that cannot be reached are named in the error", async () => {
    const missing = join(folder, "missing.sock");
    await assert.rejects(open({ nodes: [{ path: missing }] }), {
      code: "UNAVAILABLE",
      message: /missing\.sock .*ENOENT/,
    });
  });

  it("are opened with lookup, family and localAddress", async () => {
    const asked: string[] = [];
    const lookup: LookupFunction = (host, options, callback) => {
      asked.push(`${host} ${options.family}`);
      if (options.all) callback(null, [{ address: "127.0.0.1", family: 4 }]);
      else callback(null, "127.0.0.1", 4);
    };
    const cluster = await open({
      nodes: [`a.name.invalid:${server.port}`],
      socket: { lookup, family: 4, localAddress: "127.0.0.2" },
    });
    assert.match(await seenFrom(cluster), /^127\.0\.0\.2:/);
    assert.deepEqual([...new Set(asked)], ["a.name.invalid 4"]);
    assert.ok(asked.length >= 2, "each connection asks anew");
  });

  it("may be opened by a function, once for each connection", async () => {
    const endpoints: SocketEndpoint[] = [];
    const sockets: Socket[] = [];
    const cluster = await open({
      nodes: ["behind.a.tunnel:6379"],
      socket: (endpoint) => {
        endpoints.push(endpoint);
        const socket = connectTcp(server.port, "127.0.0.1");
        sockets.push(socket);
        return socket;
      },
    });
    assert.equal(await cluster.command("SET", "tunnel", "x".repeat(1_000_000)), "OK");
    assert.equal(await cluster.command("STRLEN", "tunnel"), 1_000_000);
    for (const socket of sockets) socket.destroy();
    assert.equal(await cluster.command("STRLEN", "tunnel").catch(() => cluster.command("STRLEN", "tunnel")), 1_000_000);
    assert.ok(endpoints.length >= 3, `${endpoints.length} connections`);
    for (const endpoint of endpoints) assert.deepEqual(endpoint, { host: "behind.a.tunnel", port: 6379 });
  });

  it("may be streams of any kind, which are destroyed in the end", async () => {
    const streams: Duplex[] = [];
    const cluster = await open({
      nodes: ["h:1"],
      socket: () => {
        const stream = streamTo(server.port);
        streams.push(stream);
        return stream;
      },
    });
    assert.equal(await cluster.command("SET", "stream", "x"), "OK");
    assert.equal(await cluster.command("GET", "stream"), "x");
    streams.at(-1)?.push(null);
    assert.equal(await cluster.command("GET", "stream").catch(() => cluster.command("GET", "stream")), "x");
    cluster.destroy();
    assert.ok(
      streams.every(({ destroyed }) => destroyed),
      "a stream is left open",
    );
  });

  for (const [what, socket, words] of [
    ["throws", () => assert.fail("no tunnel today"), /h:1 \(no tunnel today\)/],
    ["returns no stream", () => undefined as unknown as Duplex, /h:1 \(the function `socket` returned no Duplex\)/],
    [
      "returns a promise, which rejects",
      () => Promise.reject(new Error("lost")) as unknown as Duplex,
      /h:1 \(the function `socket` returned no Duplex\)/,
    ],
    ["returns a stream that fails", () => failing(), /h:1 \(the tunnel collapsed\)/],
  ] as const) {
    it(`of a function that ${what} are an error that says so`, async () => {
      await assert.rejects(open({ nodes: ["h:1"], socket }), { code: "UNAVAILABLE", message: words });
    });
  }

  it("of a function carry TLS", async () => {
    const cluster = await startCluster({ primaries: 3, tls: true });
    try {
      let opened = 0;
      client = await connect({
        ...cluster.connectOptions,
        socket: ({ host, port }) => {
          opened++;
          return connectTcp(port, host);
        },
        scripts: [incr],
      });
      for (let key = 0; key < 10; key++) assert.equal(await client.run(incr, [`k${key}`]), 1);
      assert.ok(opened >= 4, `${opened} connections`);
      client.destroy();
      // A stream that is no socket of Node's carries TLS as well.
      client = await connect({ ...cluster.connectOptions, socket: ({ port }) => streamTo(port) });
      assert.equal(await client.command("GET", "k1"), "1");
      await assert.rejects(
        connect({ nodes: cluster.nodes, tls: true, socket: ({ host, port }) => connectTcp(port, host) }),
        /self-signed certificate|SELF_SIGNED/i,
      );
    } finally {
      client?.destroy();
      await cluster.stop();
    }
  });
});

/** A stream that is no socket, to a server. */
function streamTo(port: number): Duplex {
  const socket = connectTcp(port, "127.0.0.1");
  const stream = new Duplex({
    allowHalfOpen: true,
    emitClose: false,
    read: () => socket.resume(),
    write: (chunk, _encoding, callback) => void socket.write(chunk, callback),
    destroy: (error, callback) => {
      socket.destroy();
      callback(error);
    },
  });
  socket.on("data", (chunk) => stream.push(chunk));
  socket.on("error", (error) => stream.destroy(error));
  socket.on("end", () => stream.push(null));
  return stream;
}

function failing(): Duplex {
  const stream = new Duplex({ read: () => {}, write: () => {} });
  setImmediate(() => stream.destroy(new Error("the tunnel collapsed")));
  return stream;
}
