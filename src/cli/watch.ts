import { once } from "node:events";
import { loadScripts } from "../scripts/load-scripts.ts";
import { JSON_OPTION, numberOf, type Options, readArguments, refuseUrls, refuseWords } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { untilEnded } from "./ending.ts";
import { jsonOf } from "./printable.ts";
import { LiveWatch } from "./web/live-watch.ts";

const OPTIONS = {
  ...CONNECTION,
  scripts: { type: "string", value: "FOLDER", says: "show which node knows which Lua file of this folder" },
  recursive: { type: "boolean", says: "also read the sub-folders of --scripts" },
  "web-port": { type: "string", value: "PORT", says: "the page's port on 127.0.0.1; default: any that is free" },
  ...JSON_OPTION,
} as const satisfies Options;

/** `slotwire watch`: a page in the browser that shows a cluster as it is. */
export const watch: Command = {
  usage: "[--scripts FOLDER] [--web-port PORT] [--json]",
  summary: "a page in the browser that shows a cluster as it changes, until Ctrl-C; its address is printed",
  options: OPTIONS,
  notes: [
    "Nothing is changed: the servers are asked by CLUSTER NODES, INFO, SHARDS and COUNTKEYSINSLOT, by DBSIZE, and for the",
    "scripts of --scripts by SCRIPT EXISTS. Keys and values are not read. The page is for this machine alone: the address",
    "contains a secret, and only who knows it is answered.",
  ].join("\n"),
  async run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    refuseWords("watch", words);
    const { scripts: folder } = values;
    if (folder !== undefined) refuseUrls("watch", [folder]);
    const scripts = folder === undefined ? [] : loadScripts(folder, { recursive: values.recursive === true });
    const port = numberOf("--web-port", values["web-port"], { fallback: 0, least: 0, most: 65535 });
    const connection = connectionOf(values, process.env, terminal);
    await untilEnded(async (ended) => {
      const live = await LiveWatch.open({ connection, scripts: Object.values(scripts), port });
      try {
        terminal.write(values.json ? `${jsonOf({ web: live.url })}\n` : `${live.url}\n`);
        if (!ended.aborted) await once(ended, "abort");
      } finally {
        await live.close();
      }
    });
    return "";
  },
};
