import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Connection, type ConnectionOwner, type Receiver } from "../../src/connection/connection.ts";
import { openConnection } from "../../src/connection/open-connection.ts";
import { ControlRequest } from "../../src/connection/request.ts";
import type { TransportHandlers } from "../../src/environment.ts";
import { encodeCommand } from "../../src/protocol/encode.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import { settingsOn } from "../support/connection-settings.ts";
import { FakeWire } from "../support/fake-wire.ts";

/** SUBSCRIBE, answered once for each channel. */
class Subscribe extends ControlRequest {
  readonly confirmed: Reply[] = [];
  readonly #channels: number;

  constructor(...channels: readonly string[]) {
    super(["SUBSCRIBE", ...channels]);
    this.#channels = channels.length;
  }

  takePart(reply: Reply): boolean {
    if (this.confirmed.length === this.#channels - 1) return false;
    this.confirmed.push(reply);
    return true;
  }

  override onReply(reply: Reply): void {
    this.confirmed.push(reply);
    super.onReply(reply);
  }
}

/** Takes messages of channels, as a subscribed connection's owner does. */
class Messages implements Receiver {
  wantsBuffers = false;
  readonly taken: Reply[] = [];

  takePushed(reply: Reply): boolean {
    if (!Array.isArray(reply) || String(reply[0]) !== "message") return false;
    this.taken.push(reply);
    return true;
  }
}

describe("a connection", () => {
  let wire: FakeWire;
  let connection: Connection;
  let told: string[];

  beforeEach(async () => {
    wire = new FakeWire();
    wire.server = (written) => (written.includes("PING") ? "+PONG\r\n" : undefined);
    told = [];
    const opening = openConnection(settingsOn(wire));
    await wire.pass(5);
    connection = await opening;
  });

  const receive = (...commands: readonly string[][]) =>
    wire.opened[0]?.receive(commands.map((parts) => encodeCommand(parts)).join(""));
  const ownerCalled = (name: string, more: Partial<ConnectionOwner> = {}): ConnectionOwner => ({
    onClosed: () => void told.push(`${name}: closed`),
    onIdle: () => void told.push(`${name}: idle`),
    onWritable: () => void told.push(`${name}: writable`),
    ...more,
  });

  describe("with an owner", () => {
    it("tells the present owner, and no earlier one", async () => {
      connection.handOver(ownerCalled("first"));
      void connection.exchange(["GET", "k"]);
      wire.opened[0]?.receive("+v\r\n");
      connection.handOver(ownerCalled("second"));
      void connection.exchange(["GET", "k"]);
      wire.opened[0]?.receive("+v\r\n");
      connection.close(new Error("done"));
      assert.deepEqual(told, ["first: idle", "second: idle", "second: closed"]);
    });

    it("forgets what the earlier owner wanted to hear and the present one does not", () => {
      connection.handOver(ownerCalled("first", { receiver: new Messages() }));
      connection.handOver({ onClosed: () => void told.push("second: closed") });
      receive(["message", "c", "hello"]);
      assert.deepEqual(told, ["second: closed"]);
    });

    it("changes hands only while it is open", () => {
      connection.close(new Error("done"));
      assert.throws(() => connection.handOver(ownerCalled("late")), /only an open connection changes hands/);
    });
  });

  describe("that is sent what it has not asked for", () => {
    it("ends with PROTOCOL where its owner has no receiver", async () => {
      connection.handOver(ownerCalled("owner"));
      receive(["message", "c", "hello"]);
      assert.equal(connection.closed, true);
      await assert.rejects(connection.gone, { code: "PROTOCOL" });
    });

    it("hands it to the receiver, in order, also in front of replies that are awaited", async () => {
      const receiver = new Messages();
      connection.handOver(ownerCalled("owner", { receiver }));
      receive(["message", "c", "1"]);
      const [pong] = connection.exchange(["PING"]);
      receive(["message", "c", "2"], ["pong", ""], ["message", "c", "3"]);
      assert.deepEqual(await pong, ["pong", ""]);
      assert.deepEqual(
        receiver.taken,
        ["1", "2", "3"].map((payload) => ["message", "c", payload]),
      );
      assert.equal(connection.closed, false);
    });

    it("ends with PROTOCOL where the receiver does not know it either", async () => {
      connection.handOver(ownerCalled("owner", { receiver: new Messages() }));
      wire.opened[0]?.receive(":1\r\n");
      await assert.rejects(connection.gone, { code: "PROTOCOL" });
    });

    it("hands over Buffers where the receiver wants them, whatever the request in flight wants", () => {
      const receiver = new Messages();
      receiver.wantsBuffers = true;
      connection.handOver(ownerCalled("owner", { receiver }));
      void connection.exchange(["PING"]);
      receive(["message", "c", "\xff"]);
      assert.deepEqual(receiver.taken, [[Buffer.from("message"), Buffer.from("c"), Buffer.from("\xff")]]);
    });
  });

  describe("with a request that is answered several times", () => {
    it("keeps the request in front of the others until it has all its replies", async () => {
      const receiver = new Messages();
      connection.handOver(ownerCalled("owner", { receiver }));
      const subscribe = new Subscribe("a", "b", "c");
      connection.carry(subscribe);
      const [pong] = connection.exchange(["PING"]);
      receive(["subscribe", "a", "1"], ["message", "a", "early"], ["subscribe", "b", "2"]);
      assert.deepEqual([subscribe.place, connection.inFlight.size], ["in-flight", 2]);
      receive(["subscribe", "c", "3"], ["pong", ""]);
      assert.deepEqual(await subscribe.reply, ["subscribe", "c", "3"]);
      assert.deepEqual(await pong, ["pong", ""]);
      assert.deepEqual([subscribe.confirmed.length, receiver.taken.length, connection.inFlight.size], [3, 1, 0]);
    });

    it("fails the request when an error or the end of the connection comes in place of a reply", async () => {
      connection.handOver(ownerCalled("owner", { receiver: new Messages() }));
      const [refused, lost] = [new Subscribe("a", "b"), new Subscribe("c", "d")];
      connection.carry(refused);
      connection.carry(lost);
      wire.opened[0]?.receive("-NOPERM no channel\r\n");
      receive(["subscribe", "c", "1"]);
      connection.close(new Error("gone"));
      await assert.rejects(refused.reply, { code: "REPLY" });
      await assert.rejects(lost.reply, { code: "CONNECTION_LOST" });
    });

    it("is only given such a request when its owner has a receiver", () => {
      connection.handOver(ownerCalled("owner"));
      assert.throws(() => connection.carry(new Subscribe("a", "b")), /several replies need a receiver/);
    });
  });
});

describe("opening a connection", () => {
  it("says in its handshake what the settings want", async () => {
    const wire = new FakeWire();
    const written: string[] = [];
    wire.server = (bytes) => {
      written.push(bytes);
      return "$2\r\nid\r\n";
    };
    const opening = openConnection(
      settingsOn(wire, {
        connectionName: "worker",
        handshake: async (exchange, _, { connectionName }) => {
          await exchange(["CLUSTER", "MYID", connectionName as string])[0];
        },
      }),
    );
    await wire.pass(5);
    assert.equal((await opening).closed, false);
    assert.deepEqual(written, [encodeCommand(["CLUSTER", "MYID", "worker"])]);
  });

  it("fails where the handshake throws, and closes the socket", async () => {
    const wire = new FakeWire();
    const failure = new Error("another node answers");
    const opening = openConnection(settingsOn(wire, { handshake: () => Promise.reject(failure) }));
    await Promise.all([assert.rejects(opening, failure), wire.pass(5)]);
    assert.equal(wire.opened[0]?.closed, true);
    assert.equal(wire.clock.pending.size, 0);
  });

  it("fails, and does not throw, where creating the stream throws at once", async () => {
    for (const thrown of [new Error("no tunnel"), "no tunnel"]) {
      const wire = new FakeWire();
      const open = () => {
        throw thrown;
      };
      const opening = openConnection(settingsOn(wire, { environment: { ...wire.environment, open } }));
      await assert.rejects(opening, /no tunnel/);
      assert.equal(wire.clock.pending.size, 0);
    }
  });

  it("fails where the stream ends while it is created, and destroys what was created", async () => {
    const wire = new FakeWire();
    let destroyed = 0;
    const open = (_: unknown, handlers: TransportHandlers) => {
      handlers.onClose(new Error("no tunnel"));
      return { write: () => false, pendingBytes: 0, destroy: () => void destroyed++ };
    };
    const opening = openConnection(settingsOn(wire, { environment: { ...wire.environment, open } }));
    await assert.rejects(opening, /no tunnel/);
    assert.equal(destroyed, 1);
  });

  it("works where the stream stands while it is created", async () => {
    const wire = new FakeWire();
    const open: typeof wire.environment.open = (endpoint, handlers) => {
      handlers.onOpen();
      return wire.environment.open(endpoint, handlers);
    };
    const opening = openConnection(settingsOn(wire, { environment: { ...wire.environment, open } }));
    await wire.pass(5);
    assert.equal((await opening).closed, false);
  });

  it("says nothing before the stream stands", () => {
    const connection = new Connection(settingsOn(new FakeWire()));
    assert.throws(() => connection.exchange(["PING"]), /nothing is asked before the stream stands/);
    connection.close(new Error("done"));
  });
});
