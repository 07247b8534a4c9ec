import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeldBytes } from "../../src/protocol/held-bytes.ts";

const MIB = 1024 * 1024;
const READ = 64 * 1024;

/** Holds `bytes` as reads of 64 KiB bring them; returns the sizes of all rooms that were made. */
function hold(bytes: number, announcedOf: (held: number) => number): number[] {
  const held = new HeldBytes(512 * MIB + 32);
  const piece = Buffer.alloc(READ);
  const rooms: number[] = [];
  for (let size = 0; size < bytes; size += READ) {
    held.push(piece, announcedOf(size + READ));
    if (held.room !== rooms.at(-1)) rooms.push(held.room);
  }
  assert.equal(held.take().length, bytes);
  assert.equal(held.size, 0);
  return rooms;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

describe("bytes that are held", () => {
  it("are what was pushed, in pieces of any length", () => {
    for (let round = 0; round < 50; round++) {
      const held = new HeldBytes(512 * MIB);
      const pieces = Array.from({ length: round }, (_, index) =>
        Buffer.alloc((index * 7919 * round) % 5000, index + 1),
      );
      for (const piece of pieces) held.push(piece, (round * 31) % 1000);
      assert.deepEqual(held.take(), Buffer.concat(pieces));
    }
  });

  it("of an announced length are copied once: the room of the whole is made with the first read", () => {
    for (const length of [MIB, 20 * MIB, 200 * MIB]) {
      const rooms = hold(length, (held) => length - held);
      assert.deepEqual([rooms.length, (rooms[0] ?? 0) - length], [1, 0]);
    }
  });

  it("of no announced length are in rooms whose former ones are together no tenth of a long reply", () => {
    // Many elements of 1 MiB each.
    const rooms = hold(300 * MIB, (held) => MIB - (held % MIB));
    assert.ok(sum(rooms.slice(0, -1)) <= 30 * MIB, rooms.join(" "));
  });

  it("get no room for what is announced and never comes", () => {
    const held = new HeldBytes(512 * MIB);
    held.push(Buffer.from("$536870912\r\n"), 512 * MIB);
    assert.ok(held.room <= 100_000, String(held.room));
  });

  it("get no more room than the bound", () => {
    const held = new HeldBytes(1000);
    held.push(Buffer.alloc(600), 0);
    assert.equal(held.room, 1000);
  });
});
