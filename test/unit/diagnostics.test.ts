import assert from "node:assert/strict";
import { tracingChannel } from "node:diagnostics_channel";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { AbortedError, DeadlineError, ReplyError } from "../../src/errors.ts";
import { areCallsHeard, commandChannel, isHeard, presentable, traced } from "../../src/telemetry/channels.ts";

describe("presentable", () => {
  const quoting = "ERR unknown command 'X', with args beginning with: 's3cret'";

  it("keeps what an error is, and of a server's words the first", () => {
    const place = { script: "take", file: "take.lua", line: 3, sourceLine: "return 's3cret'" };
    const shown = presentable(new ReplyError(quoting, "executed", place, new Error("s3cret"))) as ReplyError;
    assert.ok(shown instanceof ReplyError);
    assert.deepEqual([shown.reply, shown.outcome, shown.script], ["ERR", "executed", "take"]);
    assert.doesNotMatch(inspect(shown, { showHidden: true, depth: 9 }), /s3cret/);
  });

  it("takes no word for a server's that is none", () => {
    for (const text of ["s3cret", "s3cret and more", "S3CRET-1", "", "Ünd so"]) {
      assert.equal((presentable(new ReplyError(text)) as ReplyError).reply, "ERR", text);
    }
    assert.equal((presentable(new ReplyError("WRONGTYPE")) as ReplyError).reply, "WRONGTYPE");
  });

  it("keeps a deadline, without the last answer", () => {
    const shown = presentable(new DeadlineError(10, "not-executed", new ReplyError(quoting))) as DeadlineError;
    assert.deepEqual([shown.timeoutMs, shown.outcome, shown.cause], [10, "not-executed", undefined]);
    assert.doesNotMatch(inspect(shown, { showHidden: true, depth: 9 }), /s3cret/);
  });

  it("leaves other errors as they are", () => {
    const error = new AbortedError("unknown", "why");
    assert.equal(presentable(error), error);
  });
});

describe("areCallsHeard", () => {
  it("is true while somebody listens to any channel of single calls", () => {
    const ignore = () => {};
    const command = tracingChannel("slotwire:command");
    assert.equal(areCallsHeard(), false);
    for (const event of ["start", "end", "asyncStart", "asyncEnd", "error"] as const) {
      command[event].subscribe(ignore);
      assert.equal(isHeard(commandChannel), true, event);
      assert.equal(areCallsHeard(), true, event);
      command[event].unsubscribe(ignore);
      assert.equal(areCallsHeard(), false, event);
    }
  });
});

describe("traced", () => {
  const channel = tracingChannel("slotwire-test:traced") as unknown as Parameters<typeof traced>[0];
  const events = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;

  /** What is published while `what` runs: event, and whether the context has an error then. */
  async function published(what: () => Promise<unknown>): Promise<[string, boolean][]> {
    const seen: [string, boolean][] = [];
    const stops = events.map((event) => {
      const hear = (context: unknown) => {
        assert.ok(!("result" in (context as object)));
        seen.push([event, "error" in (context as object)]);
      };
      channel[event].subscribe(hear);
      return () => channel[event].unsubscribe(hear);
    });
    await traced(channel, {}, what).catch(() => {});
    for (const stop of stops) stop();
    return seen;
  }

  it("publishes the course of what succeeds, without its result", async () => {
    assert.deepEqual(
      await published(async () => "s3cret"),
      ["start", "end", "asyncStart", "asyncEnd"].map((event) => [event, false]),
    );
  });

  it("publishes an error before the end, and passes it on", async () => {
    assert.deepEqual(await published(() => Promise.reject(new Error("no"))), [
      ["start", false],
      ["end", false],
      ["error", true],
      ["asyncStart", true],
      ["asyncEnd", true],
    ]);
    const failure = new Error("no");
    await assert.rejects(
      traced(channel, {}, () => Promise.reject(failure)),
      failure,
    );
  });
});
