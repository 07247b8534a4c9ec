import { InvalidArgumentError } from "../errors.ts";
import { loadScripts } from "../scripts/load-scripts.ts";
import { LAST_PORT } from "../testing/free-ports.ts";
import { type LocalCluster, startCluster } from "../testing/start-cluster.ts";
import { JSON_OPTION, numberOf, type Options, readArguments, refuseUrls, refuseWords } from "./arguments.ts";
import type { Command } from "./command.ts";
import { LocalActions } from "./local-actions.ts";
import { Session } from "./session.ts";
import { helpLines } from "./shell/commands.ts";
import { serve } from "./shell/serve.ts";
import { Shell } from "./shell/shell.ts";
import { signalled } from "./signalled.ts";
import type { Terminal } from "./terminal.ts";
import { LiveCluster, type LiveClusterOptions } from "./web/live-cluster.ts";

const OPTIONS = {
  primaries: { type: "string", value: "N", says: "the number of primaries; default 3" },
  replicas: { type: "string", value: "N", says: "the number of replicas of each primary; default 1" },
  server: {
    type: "string",
    value: "PATH",
    says: "a redis-server or valkey-server; by default one is found or fetched",
  },
  port: {
    type: "string",
    value: "N",
    says: "the port of the first node; the others get the ports behind it; by default free ports",
  },
  tls: { type: "boolean", says: "TLS, with a certificate made for this cluster" },
  requirepass: { type: "string", value: "PASS", says: "the password of the default user, and among the nodes" },
  keep: { type: "boolean", says: "run on when the input ends, until a signal" },
  web: { type: "boolean", says: "also show the cluster on a page in the browser; its address is printed" },
  "web-port": { type: "string", value: "PORT", says: "the page's port; by default a free one; needs --web" },
  scripts: { type: "string", value: "FOLDER", says: "Lua files that the page can call; needs --web" },
  ...JSON_OPTION,
} as const satisfies Options;

const LAST_WEB_PORT = 65_535;

/** `slotwire cluster`: runs a local cluster, with commands that disturb it. */
export const cluster: Command = {
  usage: [
    "[--primaries N] [--replicas N] [--port N] [--tls] [--requirepass PASS] [--keep] [--server PATH]",
    "[--web [--web-port PORT] [--scripts FOLDER]] [--json]",
  ].join(" "),
  summary: "a local cluster of real servers, which Ctrl-C or the end of the input ends and removes",
  options: OPTIONS,
  notes: `While the cluster runs, commands are read from standard input, one per line:\n${helpLines().join("\n")}`,
  async run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    refuseWords("cluster", words);
    const primaries = numberOf("--primaries", values.primaries, { fallback: 3, least: 1, most: 100 });
    const replicasPerPrimary = numberOf("--replicas", values.replicas, { fallback: 1, least: 0, most: 5 });
    const port = numberOf("--port", values.port, { fallback: 0, least: 1, most: LAST_PORT });
    const { server, requirepass: password } = values;
    if (password === "") throw new InvalidArgumentError("--requirepass is empty; accepted is any other text.");
    const page = pageOf(values);
    const count = primaries * (1 + replicasPerPrimary);
    terminal.progress(`starting ${count} ${count === 1 ? "server" : "servers"} ...`);
    return signalled(async (ended) => {
      const local = await startCluster({
        primaries,
        replicasPerPrimary,
        ...(server !== undefined && { server }),
        tls: values.tls === true,
        password,
        port: values.port === undefined ? undefined : port,
        signal: ended,
      });
      try {
        await run(local, { ended, json: values.json === true, keep: values.keep === true, page }, terminal);
      } finally {
        await local.stop();
      }
      return "";
    });
  },
};

interface Running {
  readonly ended: AbortSignal;
  readonly json: boolean;
  readonly keep: boolean;
  readonly page: Page | undefined;
}

/** The live page that is wanted. */
type Page = Pick<LiveClusterOptions, "scripts" | "port">;

function pageOf(values: {
  readonly web?: boolean;
  readonly "web-port"?: string;
  readonly scripts?: string;
}): Page | undefined {
  for (const option of ["web-port", "scripts"] as const) {
    if (values[option] !== undefined && !values.web) throw new InvalidArgumentError(`--${option} needs --web.`);
  }
  const { scripts: folder } = values;
  if (folder !== undefined) refuseUrls("cluster", [folder]);
  const port = numberOf("--web-port", values["web-port"], { fallback: 0, least: 0, most: LAST_WEB_PORT });
  const scripts = folder === undefined ? [] : Object.values(loadScripts(folder));
  return values.web ? { port, scripts } : undefined;
}

async function run(local: LocalCluster, { ended, json, keep, page }: Running, terminal: Terminal): Promise<void> {
  const actions = await LocalActions.open(local);
  try {
    const live = page && (await LiveCluster.open({ actions, ...page }));
    // Without background refreshes, the user can see how the client's slot map becomes outdated.
    const options = { ...local.connectOptions, topologyRefreshInterval: 0 };
    const session = live?.session ?? (await Session.openTapped(options, { names: actions.servers.names }));
    try {
      terminal.progress("");
      const shell = new Shell({ local, actions, session, json, terminal, live });
      await serve(shell, actions, { ended, json, keep }, terminal);
    } finally {
      await live?.close();
      session.close();
    }
  } finally {
    await actions.close();
  }
}
