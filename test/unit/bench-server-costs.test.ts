import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { costsOf } from "../../bench/support/server-costs.ts";

const STATS = "# Stats\r\ntotal_net_input_bytes:1234\r\ntotal_net_output_bytes:77\r\ntotal_net_repl_input_bytes:9\r\n";
const CPU = "# CPU\r\nused_cpu_sys:0.250000\r\nused_cpu_user:1.500000\r\nused_cpu_sys_children:5.0\r\n";

describe("costsOf", () => {
  it("reads what Redis 7 says", () => {
    const commands = [
      "# Commandstats",
      "cmdstat_evalsha:calls=10,usec=25,usec_per_call=2.50,rejected_calls=1,failed_calls=2",
      "cmdstat_evalsha_ro:calls=99,usec=99,usec_per_call=1.00,rejected_calls=0,failed_calls=0",
      "cmdstat_eval:calls=3,usec=40,usec_per_call=13.33,rejected_calls=0,failed_calls=0",
      "",
    ].join("\r\n");
    const none = { calls: 0, microseconds: 0 };
    assert.deepEqual(costsOf(`${commands}\n${STATS}\n${CPU}`), {
      cpuMicroseconds: 1_750_000,
      bytesIn: 1234,
      bytesOut: 77,
      commands: {
        eval: { calls: 3, microseconds: 40 },
        evalsha: { calls: 10, microseconds: 25 },
        evalsha_ro: { calls: 99, microseconds: 99 },
        fcall: none,
        fcall_ro: none,
      },
    });
  });

  it("reads what Redis 6.0 says, where calls that fail have no counts", () => {
    const { commands } = costsOf(`cmdstat_evalsha:calls=10,usec=25,usec_per_call=2.50\r\n${STATS}\n${CPU}`);
    assert.deepEqual(commands.evalsha, { calls: 10, microseconds: 25 });
  });

  it("takes a command that is not listed as one that was never called", () => {
    const { commands } = costsOf(`${STATS}\n${CPU}`);
    for (const costs of Object.values(commands)) assert.deepEqual(costs, { calls: 0, microseconds: 0 });
  });

  it("refuses to guess what must be there", () => {
    assert.throws(() => costsOf(STATS), /used_cpu_user/);
    assert.throws(() => costsOf(CPU), /total_net_input_bytes/);
  });
});
