import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clusterSupportIn } from "../../src/protocol/cluster-wordings.ts";
import { isLoadDenied } from "../../src/protocol/error-reply.ts";

describe("the words of servers without a cluster", () => {
  const rows: [string, "disabled" | "unknown" | undefined][] = [
    ["ERR This instance has cluster support disabled", "disabled"],
    ["ERR Cluster is disabled. Use --cluster_mode=yes to enable.", "disabled"],
    ["ERR Cluster mode is not enabled", "disabled"],
    ["ERR unknown command 'CLUSTER', with args beginning with: 'SHARDS' ", "unknown"],
    ["ERR unknown command `CLUSTER`, with args beginning with: `SHARDS`, ", "unknown"],
    ["ERR unknown command 'cluster', with args beginning with: shards", "unknown"],
    ["ERR unknown command 'CLUSTER'", "unknown"],
    ['ERR unknown command "CLUSTER"', "unknown"],
    ["ERR unknown command CLUSTER", "unknown"],
    ["ERR unknown command", "unknown"],
    ["ERR unsupported command 'CLUSTER'", "unknown"],
    ["ERR command not supported", "unknown"],
    ["ERR command is not allowed", "unknown"],
    [
      "ERR Command is not available: 'CLUSTER'. See https://example.org/redis/overall/rediscompatibility for details",
      "unknown",
    ],
    // A server that knows CLUSTER, and not the question.
    ["ERR unknown subcommand 'SHARDS'. Try CLUSTER HELP.", undefined],
    ["ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER HELP.", undefined],
    ["ERR Wrong CLUSTER subcommand or number of arguments", undefined],
    // The user may not ask: that is no word on the server.
    ["NOPERM this user has no permissions to run the 'cluster|shards' command", undefined],
    ["NOPERM User u has no permissions to run the 'cluster|shards' command", undefined],
    ["ERR unknown command 'CLUSTERS'", undefined],
    ["ERR unknown command 'GET', with args beginning with: 'CLUSTER' ", undefined],
    ["LOADING Redis is loading the dataset in memory", undefined],
    ["CLUSTERDOWN The cluster is down", undefined],
    ["", undefined],
  ];
  for (const [text, support] of rows) {
    it(`${JSON.stringify(text)}: ${support ?? "nothing certain"}`, () => assert.equal(clusterSupportIn(text), support));
  }
});

describe("the words of servers that take no SCRIPT LOAD at all", () => {
  const rows: [string, boolean][] = [
    ["NOPERM this user has no permissions to run the 'script|load' command", true],
    ["ERR unknown command 'SCRIPT', with args beginning with: 'LOAD' 'return 1' ", true],
    ["ERR unknown command `SCRIPT`, with args beginning with: `LOAD`, `return 1`, ", true],
    ["ERR unknown command 'script'", true],
    ["ERR unknown subcommand 'LOAD'. Try SCRIPT HELP.", true],
    ["ERR Error compiling script (new function): user_script:1: '=' expected near 'is'", false],
    ["ERR unknown command 'SCRIPTS'", false],
    ["OOM command not allowed when used memory > 'maxmemory'.", false],
    ["BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", false],
  ];
  for (const [text, isDenied] of rows) {
    it(`${JSON.stringify(text)}: ${isDenied}`, () => assert.equal(isLoadDenied(text), isDenied));
  }
});
