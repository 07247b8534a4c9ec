import { InvalidArgumentError } from "../../errors.ts";
import { type ShellCommand, slotNumber } from "./shell-command.ts";

/** The commands that change the cluster. */
export const CLUSTER_COMMANDS: readonly ShellCommand[] = [
  {
    usage: "move SLOT NODE",
    example: "move 12182 B",
    summary: "move a slot to a primary, key by key; also ends a half-way move",
    run: ({ actions }, [slot, node = ""]) => actions.moveSlot(slotNumber(slot), node),
  },
  {
    usage: "migrate SLOT NODE [KEY]",
    example: "migrate 12182 B",
    summary: "begin to move a slot and stop: ASK; or move one KEY of it: TRYAGAIN",
    run({ actions }, [slot, node = "", key]) {
      if (key === undefined) return actions.halfMove(slotNumber(slot), node);
      return actions.moveKey(slotNumber(slot), node, key);
    },
  },
  {
    usage: "settle SLOT",
    example: "settle 12182",
    summary: "close a half-moved slot: its owner gets all keys back",
    run: ({ actions }, [slot]) => actions.settle(slotNumber(slot)),
  },
  { usage: "flush", summary: "SCRIPT FLUSH on every node", run: ({ actions }) => actions.flush() },
  {
    usage: "failover NODE [--anyway]",
    example: "failover A1",
    summary: "promote a replica; with half-moved slots only --anyway",
    run({ actions }, [node = "", anyway]) {
      if (anyway !== undefined && anyway !== "--anyway") {
        throw new InvalidArgumentError(`${JSON.stringify(anyway)} is no option of failover; accepted is --anyway.`);
      }
      return actions.failover(node, anyway !== undefined);
    },
  },
  {
    usage: "add",
    summary: "start one more node without slots, which joins the cluster",
    run: ({ actions }) => actions.addNode(),
  },
  {
    usage: "kill NODE",
    example: "kill A",
    summary: "end a node with SIGKILL",
    run: ({ actions }, [node = ""]) => actions.kill(node),
  },
  {
    usage: "pause NODE",
    aliases: ["freeze"],
    example: "pause A",
    summary: "freeze a node with SIGSTOP",
    run: ({ actions }, [node = ""]) => actions.freeze(node),
  },
  {
    usage: "resume NODE",
    aliases: ["thaw"],
    example: "resume A",
    summary: "let a frozen node run again",
    run: ({ actions }, [node = ""]) => actions.thaw(node),
  },
];
