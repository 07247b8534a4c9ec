import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Connection } from "../../src/connection/connection.ts";
import { DedicatedConnections } from "../../src/connection/dedicated-connections.ts";
import { ControlRequest, type Request } from "../../src/connection/request.ts";
import type { OpenTransport } from "../../src/environment.ts";
import { settingsOn } from "../support/connection-settings.ts";
import { FakeWire } from "../support/fake-wire.ts";

const REFUSED = "-WRONGPASS invalid username-password pair or user is disabled.\r\n+PONG\r\n";

/** A command that the server holds. */
class Blocked extends ControlRequest {
  backlog: Request["backlog"];

  constructor() {
    super(["BLPOP", "k", 0]);
  }
}

/** Ways in which a user's function that creates streams fails before it returns, or right after. */
const FAILURES: Readonly<Record<string, OpenTransport>> = {
  "throws at once": () => {
    throw new Error("no tunnel");
  },
  "closes at once": (_, handlers) => {
    handlers.onClose(new Error("no tunnel"));
    return { write: () => false, pendingBytes: 0, destroy() {} };
  },
  "closes in the same tick": (_, handlers) => {
    queueMicrotask(() => handlers.onClose(new Error("no tunnel")));
    return { write: () => false, pendingBytes: 0, destroy() {} };
  },
};

describe("dedicated connections that cannot be opened", () => {
  let wire: FakeWire;
  let tries: number;
  beforeEach(() => {
    wire = new FakeWire();
    tries = 0;
  });

  function over(open: OpenTransport): DedicatedConnections {
    const counted: OpenTransport = (endpoint, handlers) => {
      // The fault is a loop for ever in one tick. The test must end all the same.
      if (++tries > 10_000) process.exit(1);
      return open(endpoint, handlers);
    };
    return new DedicatedConnections(settingsOn(wire, { environment: { ...wire.environment, open: counted } }), 1000);
  }
  function pushed(dedicated: DedicatedConnections, count: number): Blocked[] {
    return Array.from({ length: count }, () => {
      const request = new Blocked();
      dedicated.push(request);
      return request;
    });
  }

  for (const [how, open] of Object.entries(FAILURES)) {
    it(`are tried again after a wait where the stream ${how}`, async () => {
      const dedicated = over(open);
      const requests = pushed(dedicated, 3);
      assert.equal(tries, 3, "one for each request, in the same tick");
      await wire.pass(5);
      assert.equal(tries, 3);
      await wire.pass(1000);
      assert.ok(tries > 4 && tries < 20, `${tries} tries in a second`);
      assert.ok(requests.every(({ place }) => place === "queued"));
      dedicated.close(new Error("done"));
    });
  }

  it("cost a request that comes during the wait no try of its own", async () => {
    const dedicated = over(FAILURES["throws at once"] as OpenTransport);
    const [request] = pushed(dedicated, 1);
    await wire.pass(1);
    request?.backlog?.giveUp(request);
    for (let time = 0; time < 100; time++) {
      const [next] = pushed(dedicated, 1);
      await new Promise((resolve) => setImmediate(resolve));
      next?.backlog?.giveUp(next);
    }
    assert.equal(tries, 1);
    await wire.pass(1000);
    assert.deepEqual([tries, wire.clock.pending.size], [1, 0], "no request waits, so nothing is tried");
  });

  it("tell requests and borrowers at once, without a try, while the server refuses the credentials", async () => {
    wire.server = () => REFUSED;
    const settings = settingsOn(wire, { credentials: () => ({ password: "wrong" }) });
    const dedicated = new DedicatedConnections(settings, 1000);
    const [first] = pushed(dedicated, 1);
    await wire.pass(5);
    await assert.rejects((first as Blocked).reply, { code: "AUTH" });
    const [second] = pushed(dedicated, 1);
    await assert.rejects((second as Blocked).reply, { code: "AUTH" });
    await assert.rejects(
      dedicated.lend(() => {}),
      { code: "AUTH" },
    );
    assert.deepEqual([wire.opened.length, dedicated.pending], [1, 0]);
  });

  it("are tried at once when the login was renewed", async () => {
    let password = "wrong";
    wire.server = (written) => {
      if (!written.includes("AUTH")) return undefined;
      return written.includes("wrong") ? REFUSED : "+OK\r\n+PONG\r\n";
    };
    const dedicated = new DedicatedConnections(settingsOn(wire, { credentials: () => ({ password }) }), 1000);
    pushed(dedicated, 1);
    await wire.pass(5);
    password = "right";
    dedicated.renew();
    const [request] = pushed(dedicated, 1);
    await wire.pass(5);
    assert.equal(request?.place, "in-flight");
    dedicated.close(new Error("done"));
  });

  it("are closed while they are opened, when all are closed, lent ones too", async () => {
    wire.server = undefined;
    const dedicated = new DedicatedConnections(settingsOn(wire), 1000);
    pushed(dedicated, 1);
    const early: Connection[] = [];
    const lending = dedicated.lend((connection) => early.push(connection));
    dedicated.close(new Error("the client is closed"));
    await assert.rejects(lending, /the client is closed/);
    assert.ok(wire.opened.every(({ closed }) => closed) && early[0]?.closed);
    assert.deepEqual([dedicated.pending, wire.clock.pending.size], [0, 0]);
  });
});
