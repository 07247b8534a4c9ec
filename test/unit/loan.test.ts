import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { DedicatedConnections } from "../../src/connection/dedicated-connections.ts";
import type { Loan } from "../../src/connection/loan.ts";
import { ControlRequest } from "../../src/connection/request.ts";
import { settingsOn } from "../support/connection-settings.ts";
import { FakeWire } from "../support/fake-wire.ts";

const MULTI_TO_EXEC = ["MULTI", "EXEC"].map((name) => new ControlRequest([name]).frame).join("");

describe("a loan", () => {
  let wire: FakeWire;
  let dedicated: DedicatedConnections;
  let loan: Loan;

  beforeEach(async () => {
    wire = new FakeWire();
    wire.server = (written) => (written.endsWith("PING\r\n") ? "+PONG\r\n" : undefined);
    dedicated = new DedicatedConnections(settingsOn(wire), 1000);
    const lending = dedicated.lend(() => {});
    await wire.pass(5);
    loan = await lending;
  });

  const carry = (...command: readonly string[]) => loan.carry(new ControlRequest(command));
  const reply = (bytes: string) => wire.opened[0]?.receive(bytes);
  const execute = () => loan.carry(Object.assign(new ControlRequest(["EXEC"]), { frame: MULTI_TO_EXEC }));
  /** Whether the connection is the lender's again. Either way the loan no longer counts. */
  function wasReturned(): boolean {
    assert.equal(dedicated.pending, 0);
    assert.equal(loan.connection.closed, dedicated.states.ready === 0);
    return dedicated.states.ready === 1;
  }

  it("is given back when nothing was done with it", () => {
    loan.giveBack();
    assert.equal(wasReturned(), true);
  });

  it("is given back when every command was answered and nothing is watched", () => {
    carry("GET", "k");
    reply("+v\r\n");
    loan.giveBack();
    assert.equal(wasReturned(), true);
  });

  it("closes a connection on which a reply is still awaited: the next request would get it", () => {
    carry("GET", "k");
    loan.giveBack();
    assert.equal(wasReturned(), false);
  });

  it("closes a connection that still watches: an EXEC of the next request would fail for keys of this one", () => {
    carry("WATCH", "k");
    reply("+OK\r\n");
    loan.giveBack();
    assert.equal(wasReturned(), false);
  });

  it("is given back when the transaction that the keys were watched for was answered", () => {
    carry("WATCH", "k");
    execute();
    reply("+OK\r\n*0\r\n");
    loan.giveBack();
    assert.equal(wasReturned(), true);
  });

  it("closes a connection that watches anew behind a transaction", () => {
    execute();
    carry("WATCH", "k");
    reply("*0\r\n+OK\r\n");
    loan.giveBack();
    assert.equal(wasReturned(), false);
  });

  it("ends once: a second return does not give the connection to two requests", async () => {
    loan.giveBack();
    loan.giveBack();
    assert.deepEqual([dedicated.pending, dedicated.states.ready], [0, 1]);
    const again = await dedicated.lend(() => {});
    loan.giveBack();
    assert.deepEqual([again.connection === loan.connection, dedicated.pending, dedicated.states.ready], [true, 1, 0]);
  });

  it("ends with the connection", () => {
    loan.connection.close(new Error("lost"));
    assert.equal(wasReturned(), false);
    loan.giveBack();
    assert.equal(wasReturned(), false);
  });

  it("has ended at once when the borrower closes the connection while it is opened", async () => {
    const lending = dedicated.lend((connection) => connection.close(new Error("given up")));
    await Promise.all([assert.rejects(lending, /given up/), wire.pass(5)]);
    assert.equal(dedicated.pending, 1, "the first loan");
  });
});
