import { jsonOf } from "../printable.ts";
import { CALL_COMMANDS } from "./call-commands.ts";
import { CLUSTER_COMMANDS } from "./cluster-commands.ts";
import { LOOK_COMMANDS } from "./look-commands.ts";
import { nameOf, type ShellCommand } from "./shell-command.ts";

const USAGE_WIDTH = 28;

/** The commands that the user can type while the cluster runs. */
export const COMMANDS: readonly ShellCommand[] = [
  ...LOOK_COMMANDS,
  ...CALL_COMMANDS,
  ...CLUSTER_COMMANDS,
  {
    usage: "help",
    summary: "this list",
    run: async ({ json }) => (json ? `${jsonOf(helpAsValues())}\n` : `${helpLines().join("\n")}\n`),
  },
  { usage: "quit", summary: "end the cluster", run: async () => "" },
];

/** The command of that name, or with that alias. */
export function commandNamed(name: string): ShellCommand | undefined {
  return COMMANDS.find((each) => nameOf(each) === name || each.aliases?.includes(name));
}

/** The commands, one line each, and how nodes are named. */
export function helpLines(): string[] {
  return [
    ...COMMANDS.map(({ usage, summary, aliases }) => {
      return `  ${usage.padEnd(USAGE_WIDTH)}${summary}${aliases === undefined ? "" : `; also: ${aliases.join(", ")}`}`;
    }),
    "  A NODE is its name (A, B, A1), its port, or host:port. Quotes hold words together.",
  ];
}

function helpAsValues() {
  return COMMANDS.map((command) => ({
    name: nameOf(command),
    usage: command.usage,
    summary: command.summary,
    aliases: command.aliases ?? [],
  }));
}
