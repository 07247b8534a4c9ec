import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { after, before, describe, it } from "node:test";
import { type ConnectOptions, connect, defineScript, type SlotwireError } from "../../src/index.ts";
import { type Certificate, selfSignedCertificate } from "../../src/testing/certificate.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";

const script = defineScript({ name: "transfer", source: "return 1" });

/** What a person reads, with names in place of ports. */
async function messageOf(call: Promise<unknown>, names: Readonly<Record<string, string>> = {}): Promise<string> {
  const thrown = await call.then(
    () => assert.fail("it was not refused"),
    (reason: unknown) => reason as SlotwireError,
  );
  let text = `${thrown.code} ${thrown.outcome}: ${thrown.message}`;
  for (const [address, name] of Object.entries(names)) text = text.replaceAll(address, name);
  return text;
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("what errors say", () => {
  let cluster: FakeCluster;
  let secure: FakeCluster;
  let certificate: Certificate;
  const servers: Server[] = [];
  const addresses = { refused: "", silent: "", web: "", plain: "", secure: "" };
  before(async () => {
    certificate = selfSignedCertificate();
    cluster = await FakeCluster.start(1);
    secure = await FakeCluster.start(1, 0, certificate);
    addresses.plain = cluster.node(0).address;
    addresses.secure = secure.node(0).address;
    const gone = createServer();
    addresses.refused = await listening(gone);
    await new Promise((resolve) => gone.close(resolve));
    const silent = createServer((socket) => {
      socket.on("error", () => {});
      after(() => socket.destroy());
    });
    const web = createHttpServer();
    servers.push(silent, web);
    [addresses.silent, addresses.web] = [await listening(silent), await listening(web)];
  });
  after(async () => {
    for (const server of servers) server.close();
    await cluster?.stop();
    await secure?.stop();
  });

  const names = () =>
    Object.fromEntries(Object.entries(addresses).map(([name, address]) => [address, name.toUpperCase()]));
  const refusal = (options: ConnectOptions) =>
    messageOf(connect({ connectTimeout: 300, topologyRefreshInterval: 0, ...options }), names());

  it("CROSSSLOT: the keys, their slots, and how to bring them together", async () => {
    const client = await cluster.connect();
    const tag = 'A common hash tag, as in "{user:1}:a" and "{user:1}:b", puts keys in one slot.';
    assert.equal(
      await messageOf(client.run(script, ["from:7", "to:9"])),
      `CROSSSLOT not-executed: Keys of one call must be in one slot; these are not: "from:7" (slot 13072), "to:9" (slot 13050). ${tag} [script "transfer"]`,
    );
    assert.equal(
      await messageOf(client.command("SINTER", "a", "{a}b", "b")),
      `CROSSSLOT not-executed: Keys of one call must be in one slot; these are not: "a" (slot 15495), "{a}b" (slot 15495), "b" (slot 3300). ${tag} [SINTER]`,
    );
  });

  it("CROSSSLOT of many long keys: one of each slot", async () => {
    const client = await cluster.connect();
    const keys = Array.from({ length: 20 }, (_, index) => `{${index < 10 ? "a" : "b"}}${"x".repeat(100)}${index}`);
    const said = await messageOf(client.run(script, keys));
    const [a, b] = ["{a}", "{b}"].map((tag) => `"${tag}${"x".repeat(57)}…"`);
    assert.match(said, new RegExp(`: ${a} \\(slot 15495\\), ${b} \\(slot 3300\\) and 18 more\\. A common hash tag`));
  });

  it("no seed answers: each with its cause", async () => {
    assert.equal(
      await refusal({ nodes: [addresses.refused, addresses.silent, addresses.web] }),
      [
        "UNAVAILABLE not-executed: No node could be asked for the cluster's topology: REFUSED (connect ECONNREFUSED REFUSED)",
        "WEB (The server sent byte 72 as a reply's type; is this the port of a Redis or Valkey server?)",
        "SILENT (no answer to the handshake within 300 ms).",
      ].join("; "),
    );
  });

  it("a password is needed, is wrong, or is one too many", async () => {
    const [node] = cluster.nodes;
    node?.expect("PING", error("NOAUTH Authentication required."));
    assert.equal(
      await refusal({ nodes: [addresses.plain] }),
      "AUTH not-executed: PLAIN needs a password, and none was given (`password`, with `username` for an ACL user, or `credentials`): NOAUTH Authentication required.",
    );
    node?.expect("AUTH", error("WRONGPASS invalid username-password pair or user is disabled."));
    assert.equal(
      await refusal({ nodes: [addresses.plain], username: "app", password: "s3cret" }),
      "AUTH not-executed: PLAIN refused the credentials: WRONGPASS invalid username-password pair or user is disabled.",
    );
    node?.expect(
      "AUTH",
      error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
      ),
    );
    assert.equal(
      await refusal({ nodes: [addresses.plain], password: "s3cret" }),
      "AUTH not-executed: PLAIN has no password, and one was given without a username: ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
    );
  });

  it("TLS is expected and not used", async () => {
    assert.equal(
      await refusal({ nodes: [addresses.secure] }),
      "UNAVAILABLE not-executed: No node could be asked for the cluster's topology: SECURE (the server closed the connection; if this port expects TLS, set `tls` or use rediss://).",
    );
  });

  it("TLS is used and not expected", async () => {
    assert.equal(
      await refusal({ nodes: [addresses.silent], tls: { ca: certificate.cert } }),
      "UNAVAILABLE not-executed: No node could be asked for the cluster's topology: SILENT (no TLS connection within 300 ms; is this a port for TLS?).",
    );
    assert.equal(
      await refusal({ nodes: [addresses.web], tls: { ca: certificate.cert } }),
      "UNAVAILABLE not-executed: No node could be asked for the cluster's topology: WEB (this port speaks no TLS; to go without, leave out `tls` and use redis://).",
    );
  });

  it("TLS with a certificate that is not trusted, or is for another name", async () => {
    assert.equal(
      await refusal({ nodes: [addresses.secure], tls: true }),
      "UNAVAILABLE not-executed: No node could be asked for the cluster's topology: SECURE (self-signed certificate; `tls.ca` is for the authority that vouches for the server).",
    );
    assert.equal(
      await refusal({ nodes: [addresses.secure], tls: { ca: certificate.cert, servername: "other.example" } }),
      "UNAVAILABLE not-executed: No node could be asked for the cluster's topology: SECURE (Hostname/IP does not match certificate's altnames: Host: other.example. is not in the cert's altnames: DNS:localhost, IP Address:127.0.0.1; `tls.servername` is the name to expect).",
    );
  });

  it("the slot has no owner", async () => {
    const sparse = await FakeCluster.start(2);
    sparse.ranges = [[0, 9000, 0]];
    const client = await sparse.connect();
    const advice = `The cluster's nodes know no owner of it: "redis-cli --cluster fix HOST:PORT" gives such slots to primaries.`;
    for (const [call, name] of [
      [client.command("GET", "foo"), "GET"],
      [client.run(script, ["foo"]), 'script "transfer"'],
    ] as const) {
      assert.equal(await messageOf(call), `UNAVAILABLE not-executed: No node serves slot 12182. ${advice} [${name}]`);
    }
    sparse.ranges = [];
    const unformed = await sparse.connect();
    assert.equal(
      await messageOf(unformed.command("GET", "foo")),
      `UNAVAILABLE not-executed: No node serves slot 12182. No slot of this cluster has an owner: "redis-cli --cluster create" forms a cluster of its nodes. [GET]`,
    );
    await sparse.stop();
  });

  it("the cluster is down until the deadline: its last answer", async () => {
    const client = await cluster.connect();
    const said =
      "DEADLINE not-executed: The call was not answered within 100 ms; it did not run; the last answer was: CLUSTERDOWN The cluster is down";
    const { address } = cluster.node(0);
    for (const name of ["GET", "WATCH"]) cluster.node(0).always(name, () => error("CLUSTERDOWN The cluster is down"));
    const hasty = client.with({ timeout: 100 });
    /** An attempt that is under way just when the time is up makes it unknown, and that is for other tests. */
    const settledMessageOf = async (make: () => Promise<unknown>): Promise<string> => {
      let message = await messageOf(make());
      for (let more = 0; more < 5 && message.includes("may have run"); more++) message = await messageOf(make());
      return message;
    };
    assert.equal(
      await settledMessageOf(() => hasty.command("GET", "foo")),
      `${said} [GET, slot 12182, node ${address}]`,
    );
    const watching = () => hasty.transaction("foo", { watch: ["foo"] }, async (tx) => tx.multi());
    assert.equal(await settledMessageOf(watching), `${said} [WATCH, slot 12182, node ${address}]`);
  });

  it("a command of clusters on a single server", async () => {
    const single = await FakeCluster.start(1);
    single.node(0).shards = () => error("ERR This instance has cluster support disabled");
    const client = await single.connect();
    assert.equal(await client.command("SET", "foo", "bar"), "OK");
    assert.equal(
      await messageOf(client.command("CLUSTER", "SHARDS"), { [single.node(0).address]: "SINGLE" }),
      "REPLY not-executed: ERR This instance has cluster support disabled (a single server without cluster mode: it owns every slot, and has no CLUSTER commands) [CLUSTER, node SINGLE]",
    );
    assert.equal(
      await messageOf(client.command("READONLY")),
      "INVALID_ARGUMENT not-executed: READONLY cannot be sent by command(): it changes the state of a connection that others share. [READONLY]",
    );
    await single.stop();
  });
});
