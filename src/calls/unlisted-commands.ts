import type { Client } from "../client/client.ts";
import { parseCommands, specifiedKeys } from "../commands/server-commands.ts";
import { ClosedError } from "../errors.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { CallFactory } from "./call-factory.ts";
import type { Operation } from "./operation.ts";

/** Milliseconds that one node may take to answer, before another node is asked. */
const ANSWER_MS = 1000;
/** So many nodes are asked at most, one after the other. */
const MOST_ASKED = 3;
/**
 * After this time, the servers are asked again for a command that they did not have. Sooner, when no server answered.
 */
const ASK_AGAIN_MS = 60_000;
const ASK_AGAIN_UNANSWERED_MS = 5000;

/** A copy of arguments that are sent later, so that the caller may change the originals. */
export function copied(args: readonly Argument[]): Argument[] {
  return args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg) : arg));
}

/** The COMMAND question of each client that is asking one. */
const underWay = new WeakMap<Client, Question>();

/**
 * Asks a server for its commands, once for all callers. If only a server can find the keys of the command, asks for
 * these keys too, and resolves to them. Resolves to undefined if the description of the command suffices, or if no
 * server answers.
 */
export async function learn(
  operation: Operation,
  client: Client,
  name: string,
  args: readonly Argument[],
): Promise<readonly Argument[] | undefined> {
  const { commands } = client;
  const lower = name.toLowerCase();
  if (commands.get(lower, args) === undefined) await learnCommands(operation, client);
  const command = commands.get(lower, args);
  return command && specifiedKeys(command, args) === undefined ? askForKeys(operation, client, name, args) : undefined;
}

/** Asks for the commands of the servers. Callers that come while a server is asked wait for the same answer. */
async function learnCommands(operation: Operation, client: Client): Promise<void> {
  let question = underWay.get(client);
  if (question === undefined) {
    question = new Question(client, ["COMMAND"], "string", (reply) => {
      underWay.delete(client);
      if (reply !== "given-up") noteCommands(client, reply);
    });
    // Where no node is connected, the question is over already.
    if (!question.isOver) underWay.set(client, question);
  }
  await question.waitFor(operation);
}

function noteCommands({ commands, environment }: Client, reply: Reply | undefined): void {
  const known = parseCommands(reply ?? null);
  if (known.size > 0) commands.known = known;
  commands.nextAt = environment.clock.now() + (known.size > 0 ? ASK_AGAIN_MS : ASK_AGAIN_UNANSWERED_MS);
}

/** Undefined where no server can tell the keys. The server that gets the command then says what is wrong with it. */
async function askForKeys(
  operation: Operation,
  client: Client,
  name: string,
  args: readonly Argument[],
): Promise<readonly Argument[] | undefined> {
  const question = new Question(client, ["COMMAND", "GETKEYS", name, ...args], "buffer", () => {});
  const reply = await question.waitFor(operation);
  return Array.isArray(reply) ? reply.filter((key) => Buffer.isBuffer(key)) : undefined;
}

/**
 * A question of slotwire's own. It goes to one node after the other until one answers. Several operations can wait for
 * the answer. When the last of them has ended, the question is given up, because nobody waits for the answer any more.
 */
class Question {
  readonly #client: Client;
  readonly #command: readonly [string, ...Argument[]];
  readonly #onEnd: (reply: Reply | undefined | "given-up") => void;
  readonly #factory: CallFactory;
  readonly #answer: Promise<Reply | undefined>;
  #waiting = 0;
  /** The question has an answer, or nobody waits for an answer any more. */
  isOver = false;
  /** The call to the node that is being asked. */
  #call: Call | undefined;

  constructor(
    client: Client,
    command: readonly [string, ...Argument[]],
    replies: "string" | "buffer",
    onEnd: (reply: Reply | undefined | "given-up") => void,
  ) {
    this.#client = client;
    this.#command = command;
    this.#onEnd = onEnd;
    const view = {
      timeoutMs: ANSWER_MS,
      hasOwnTimeout: true,
      signal: undefined,
      replies,
      readFrom: "primary",
    } as const;
    this.#factory = new CallFactory(client, view);
    this.#answer = this.#askInTurn();
  }

  /** Resolves to undefined when no node answers, or all answers are errors. */
  waitFor(operation: Operation): Promise<Reply | undefined> {
    this.#waiting++;
    operation.onEnd(() => {
      if (--this.#waiting === 0) this.#giveUp();
    });
    return operation.wait(this.#answer);
  }

  async #askInTurn(): Promise<Reply | undefined> {
    const { nodes, environment } = this.#client;
    const ready = nodes.filter(({ pool }) => pool.ready);
    const turn = Math.floor(environment.random() * ready.length);
    let reply: Reply | undefined;
    for (const node of [...ready.slice(turn), ...ready.slice(0, turn)].slice(0, MOST_ASKED)) {
      reply = await this.#ask(node).catch(() => undefined);
      if (reply !== undefined || this.isOver) break;
    }
    this.#end(reply);
    return reply;
  }

  #ask(node: ClusterNode): Promise<Reply> {
    const [name, ...args] = this.#command;
    return new Promise((resolve, reject) => {
      this.#call = this.#factory.commandFor(node, name, args, ANSWER_MS, resolve, reject);
      this.#client.door.sendTogether([this.#call], undefined);
    });
  }

  #giveUp(): void {
    this.#end("given-up");
    this.#call?.reject(new ClosedError());
  }

  #end(reply: Reply | undefined | "given-up"): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#onEnd(reply);
  }
}
