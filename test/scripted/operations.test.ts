import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import type { SlotwireError } from "../../src/index.ts";
import { OPERATIONS, type OperationRow, prepareFor } from "../support/operations.ts";
import { A_FEW_TURNS, failuresOf, Stage, type Watched, watched } from "../support/stage.ts";
import { turns } from "../support/stepped-clock.ts";

/*
 * Everything that a user can ask for, and everything that can end it: at each step of each operation (a row) each
 * condition (a column) has its effect. The clock stands still until a test lets time pass, so that "at once" is a few
 * turns of the event loop and "in time" is the very millisecond.
 */

const LIMIT_MS = 300;
/** Between two steps. The next step has what is left. */
const STEP_MS = 40;
const MANY = 30;

/** One cell of the table. */
interface Cell {
  readonly row: OperationRow;
  readonly stage: Stage;
  /** The step at which the operation is kept waiting. */
  readonly step: number;
}

async function cellOf(row: OperationRow, step: number, check: (cell: Cell) => Promise<void>): Promise<void> {
  await staged(row, row.options ?? {}, (stage) => check({ row, stage, step }));
}

async function staged(
  row: OperationRow,
  options: NonNullable<OperationRow["options"]>,
  check: (stage: Stage) => Promise<void>,
): Promise<void> {
  const stage = await Stage.set(options, prepareFor(row));
  row.disturb?.(stage.cluster);
  stage.silence(row.steps);
  try {
    await check(stage);
  } finally {
    await stage.clear();
  }
}

/** Starts the operation and leads it to the step. Time passes with each step before. */
async function started({ row, stage, step }: Cell, view = stage.client, stepMs = 0): Promise<Watched> {
  const operation = watched(row.start(view, stage));
  for (const [index, each] of row.steps.slice(0, step + 1).entries()) {
    // A pause ends by itself.
    if (index > 0 && row.steps[index - 1]?.at !== "pause") stage.goOn();
    await Promise.race([
      stage.reach(each),
      operation.promise.then(
        () => {},
        () => {},
      ),
    ]);
    assert.equal(operation.isSettled, false, `it is not settled before step ${index + 1}`);
    if (index < step && each.at !== "pause") await stage.clock.pass(stepMs);
  }
  return operation;
}

/** It has ended by now, with this code and the step's outcome. */
async function verifyEnded({ row, step }: Cell, operation: Watched, code: string): Promise<SlotwireError> {
  await turns(A_FEW_TURNS);
  assert.equal(operation.isSettled, true, "it has ended");
  const failures = (await failuresOf(operation.promise)) as SlotwireError[];
  const { outcome } = row.steps[step] as OperationRow["steps"][number];
  const expected = typeof outcome === "string" ? failures.map(() => outcome) : outcome;
  assert.notEqual(failures.length, 0, "it has failed");
  assert.deepEqual([...new Set(failures.map((failure) => failure.code ?? failure))], [code]);
  assert.deepEqual(
    failures.map((failure) => failure.outcome),
    expected,
  );
  return failures[0] as SlotwireError;
}

/** The operation is answered late, step by step, and has its result. */
async function verifyGoesOn({ row, stage }: Cell, operation: Watched): Promise<void> {
  stage.goOnForEver();
  await stage.until(() => operation.isSettled, "it is settled");
  assert.deepEqual(await operation.promise, row.result);
}

const refused = { code: "CLOSED", outcome: "not-executed" };

const COLUMNS: Readonly<Record<string, (cell: Cell) => Promise<void>>> = {
  "goes on when it is answered": async (cell) => {
    await verifyGoesOn(cell, await started(cell));
    await cell.stage.verifyNothingIsLeft();
  },

  "timeout: for the whole, to the millisecond": async (cell) => {
    const { stage, row } = cell;
    const { clock } = stage;
    const before = clock.time;
    const operation = await started(cell, stage.client.with({ timeout: LIMIT_MS }), STEP_MS);
    // Time that has passed counts, unless each step has the whole time.
    const passed = row.limit === "each-step" && row.steps[cell.step]?.at === "SCAN" ? 0 : clock.time - before;
    await clock.pass(LIMIT_MS - passed - 1);
    assert.equal(operation.isSettled, false, "it is not ended too early");
    await clock.pass(1);
    const error = await verifyEnded(cell, operation, "DEADLINE");
    assert.equal(Reflect.get(error, "timeoutMs"), LIMIT_MS);
    await stage.verifyNothingIsLeft();
  },

  "signal: ends it at once, and says why": async (cell) => {
    const { stage } = cell;
    const controller = new AbortController();
    const operation = await started(cell, stage.client.with({ signal: controller.signal }));
    assert.equal(getEventListeners(controller.signal, "abort").length, 1);
    const reason = new Error("the caller has gone");
    controller.abort(reason);
    const error = await verifyEnded(cell, operation, "ABORTED");
    assert.equal(error.cause, reason);
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
    await stage.verifyNothingIsLeft();
  },

  "signal: no step is begun any more": async (cell) => {
    const { stage, row } = cell;
    const controller = new AbortController();
    const operation = await started(cell, stage.client.with({ signal: controller.signal }));
    controller.abort();
    await verifyEnded(cell, operation, "ABORTED");
    const commands = row.steps.map(({ at }) => at);
    const before = stage.count(commands);
    stage.goOnForEver();
    await stage.traffic();
    await stage.clock.pass(STEP_MS);
    await stage.traffic();
    if (!row.isShared) assert.equal(stage.count(commands), before, "nothing more was sent");
    await stage.verifyNothingIsLeft();
  },

  "close(): lets it end with all its steps, and refuses what is new": async (cell) => {
    const { stage, row } = cell;
    const operation = await started(cell);
    const closing = watched(stage.client.close());
    await assert.rejects(stage.client.command("GET", "k"), refused);
    if (row.isEndless) await verifyEnded(cell, operation, "CLOSED");
    else {
      await turns(A_FEW_TURNS);
      assert.equal(closing.isSettled, false, "closing waits for it");
      await verifyGoesOn(cell, operation);
    }
    await turns(A_FEW_TURNS);
    assert.equal(closing.isSettled, true, "closing waits for nothing else");
    await stage.verifyNothingIsLeft();
  },

  "close({ timeout }): ends it after that time, and not before": async (cell) => {
    const { stage } = cell;
    const operation = await started(cell);
    const closing = watched(stage.client.close({ timeout: STEP_MS }));
    await stage.clock.pass(STEP_MS - 1);
    assert.equal(operation.isSettled || closing.isSettled, false, "it is not ended too early");
    await stage.clock.pass(1);
    await verifyEnded(cell, operation, "CLOSED");
    assert.equal(closing.isSettled, true, "it is closed");
    await stage.verifyNothingIsLeft();
  },

  "destroy(): ends it at once": async (cell) => {
    const operation = await started(cell);
    cell.stage.client.destroy();
    await verifyEnded(cell, operation, "CLOSED");
    await cell.stage.verifyNothingIsLeft();
  },
};

/** What holds for the row and not for one step of it. */
const WHOLE: Readonly<Record<string, (row: OperationRow) => Promise<void>>> = {
  "signal that is aborted: refuses it before a byte is sent": (row) =>
    staged(row, row.options ?? {}, async (stage) => {
      const before = await stage.traffic();
      const reason = new Error("the caller has gone before");
      const operation = watched(row.start(stage.client.with({ signal: AbortSignal.abort(reason) }), stage));
      await turns(A_FEW_TURNS);
      assert.equal(operation.isSettled, true, "it has ended");
      const failures = (await failuresOf(operation.promise)) as SlotwireError[];
      assert.notEqual(failures.length, 0, "it has failed");
      for (const { code, outcome, cause } of failures) {
        assert.deepEqual([code, outcome, cause], ["ABORTED", "not-executed", reason]);
      }
      const [commands, connections] = await stage.traffic();
      assert.deepEqual([commands - 2, connections], before, "nothing was sent");
      await stage.verifyNothingIsLeft();
    }),

  [`one listener for ${MANY} calls, and none when they are answered`]: (row) =>
    staged(row, row.options ?? {}, async (stage) => {
      const { signal } = new AbortController();
      const view = stage.client.with({ signal });
      const operations = Array.from({ length: MANY }, () => watched(row.start(view, stage)));
      const listeners = new Set([getEventListeners(signal, "abort").length]);
      stage.goOnForEver();
      await stage.until(() => {
        listeners.add(getEventListeners(signal, "abort").length);
        return operations.every(({ isSettled }) => isSettled);
      }, "all are settled");
      assert.deepEqual([...listeners], [1, 0]);
      const results = await Promise.all(operations.map(({ promise }) => promise));
      if (row.name !== "command, whose slot has moved") assert.deepEqual(results[0], row.result);
      await stage.verifyNothingIsLeft();
    }),

  "commandTimeout: its own limit, that on top, or none": (row) => {
    const limited = (given: object) => ({ ...given, commandTimeout: LIMIT_MS });
    const { options = {} } = row;
    const all = typeof options === "function" ? (stage: () => Stage) => limited(options(stage)) : limited(options);
    return staged(row, all, async (stage) => {
      const operation = await started({ row, stage, step: 0 });
      await stage.clock.pass(LIMIT_MS);
      await turns(A_FEW_TURNS);
      const isLimited = row.limit === undefined || row.limit === "each-step";
      assert.equal(operation.isSettled, isLimited);
      if (isLimited) await verifyEnded({ row, stage, step: 0 }, operation, "DEADLINE");
      else await verifyGoesOn({ row, stage, step: 0 }, operation);
    });
  },
};

describe("operations", { concurrency: 8 }, () => {
  for (const row of OPERATIONS) {
    describe(row.name, { concurrency: 8 }, () => {
      for (const [name, check] of Object.entries(WHOLE)) it(name, () => check(row));
      for (const [name, check] of Object.entries(COLUMNS)) {
        for (const [step, { at }] of row.steps.entries()) {
          it(`${name} (${step + 1}: ${at})`, () => cellOf(row, step, check));
        }
      }
    });
  }
});
