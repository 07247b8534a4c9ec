import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BlockingFrame, type BlockingTime, blockingTimeOf, deadlineOf } from "../../src/commands/blocking.ts";
import { traitsOf } from "../../src/commands/traits.ts";
import { encodeCommand } from "../../src/protocol/encode.ts";

const timeOf = (line: string) => {
  const [name = "", ...args] = line.split(" ");
  return traitsOf(name, args).blocking;
};

describe("the time that a command may block", () => {
  const rows: [string, number, number][] = [
    ["BLPOP a 5", 5000, 1],
    ["blpop a 0.0001", 1, 1],
    ["BRPOP {a}1 {a}2 1.5", 1500, 2],
    ["BLMOVE {a}1 {a}2 LEFT RIGHT 2", 2000, 4],
    ["BRPOPLPUSH {a}1 {a}2 1e1", 10_000, 2],
    ["BZPOPMIN a 0", 0, 1],
    ["BZPOPMAX a 3", 3000, 1],
    ["BLMPOP 2 1 a LEFT", 2000, 0],
    ["BZMPOP 0.5 1 a MIN COUNT 3", 500, 0],
    ["XREAD BLOCK 250 STREAMS s $", 250, 1],
    ["xread count 3 block 0 streams s $", 0, 3],
    ["XREADGROUP GROUP g c BLOCK 7 STREAMS s >", 7, 4],
    ["XREADGROUP GROUP BLOCK STREAMS BLOCK 8 STREAMS s >", 8, 4],
  ];
  for (const [line, ms, at] of rows) {
    it(`${line} is ${ms} ms, in argument ${at + 1}`, () => {
      const time = timeOf(line);
      assert.deepEqual([time?.ms, time?.at], [ms, at]);
    });
  }

  it("is in bytes, too", () => {
    assert.equal(traitsOf("BLPOP", ["k", Buffer.from("2")]).blocking?.ms, 2000);
    assert.equal(traitsOf("XREAD", [Buffer.from("BLOCK"), 3n, "STREAMS", "s", "$"]).blocking?.ms, 3);
  });

  for (const line of ["BLPOP a x", "BLPOP a -1", "BLPOP a inf", "BLPOP a NaN", "BLPOP", "XREAD BLOCK"]) {
    it(`is the server's to refuse in ${line}`, () => assert.equal(timeOf(line)?.ms, Number.NaN));
  }

  const others = [
    "LPOP k",
    "XREAD STREAMS block 0",
    "XREAD COUNT 1 STREAMS s 0",
    "XREADGROUP GROUP BLOCK BLOCK STREAMS s >",
  ];
  for (const line of others) it(`is none of ${line}`, () => assert.equal(timeOf(line), undefined));
});

describe("the deadline of a call that blocks", () => {
  const time = (ms: number): BlockingTime => ({ ms, at: 1, unitMs: 1000 });

  it("comes on top of its blocking time", () => assert.equal(deadlineOf(time(30_000), 5000), 35_000));
  it("is none for ever", () => assert.equal(deadlineOf(time(0), 5000), 0));
  it("is none without a commandTimeout", () => assert.equal(deadlineOf(time(30_000), 0), 0));
  it("is none past what a timer can be set to", () => assert.equal(deadlineOf(time(2 ** 31), 5000), 0));
  it("is that of any call where the server will refuse the time", () => {
    assert.equal(deadlineOf(time(Number.NaN), 5000), 5000);
  });
});

describe("a command that blocks and is sent again", () => {
  const framesOf = (name: string, args: string[]) =>
    new BlockingFrame(name, args, blockingTimeOf(name.toLowerCase(), args) as BlockingTime);

  it("blocks for what is left of its seconds", () => {
    const frames = framesOf("BLPOP", ["k", "10"]);
    assert.equal(frames.frameAt(100), encodeCommand(["BLPOP", "k", "10"]));
    assert.equal(frames.frameAt(3350), encodeCommand(["BLPOP", "k", "6.75"]));
    assert.equal(frames.frameAt(99_000), encodeCommand(["BLPOP", "k", "0.001"]), "never for ever");
  });

  it("blocks for what is left of its milliseconds", () => {
    const frames = framesOf("XREAD", ["COUNT", "1", "BLOCK", "500", "STREAMS", "s", "$"]);
    assert.equal(frames.frameAt(0), encodeCommand(["XREAD", "COUNT", "1", "BLOCK", "500", "STREAMS", "s", "$"]));
    assert.equal(frames.frameAt(99.5), encodeCommand(["XREAD", "COUNT", "1", "BLOCK", "401", "STREAMS", "s", "$"]));
  });

  it("had found its place, when it was not refused at once", () => {
    const frames = framesOf("BLPOP", ["k", "10"]);
    frames.frameAt(0);
    assert.deepEqual([frames.wasHeld(999), frames.wasHeld(1000)], [false, true]);
    frames.frameAt(5000);
    assert.equal(frames.wasHeld(5500), false);
  });

  it("is without end where nothing but an event ends it", () => {
    assert.deepEqual(
      ["0", "1", "4000000", "x"].map((time) => framesOf("BLPOP", ["k", time]).isEndless),
      [true, false, true, false],
    );
  });

  it("goes as it is where it blocks for ever, and where its time makes no sense", () => {
    for (const args of [["k", "0"], ["k", "x"], []]) {
      const frames = framesOf("BLPOP", args);
      for (const now of [0, 5000]) assert.equal(frames.frameAt(now), encodeCommand(["BLPOP", ...args]));
    }
  });
});
