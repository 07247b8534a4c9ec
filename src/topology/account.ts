import type { Connection } from "../connection/connection.ts";
import { introductionOf, WHO_ARE_YOU } from "../connection/identity.ts";
import { type Environment, nextTurn } from "../environment.ts";
import { ReplyError } from "../errors.ts";
import { clusterSupportIn } from "../protocol/cluster-wordings.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { NodeAddress } from "../protocol/node-address.ts";
import type { Reply } from "../protocol/reply.ts";
import type { SaidBefore } from "./said-before.ts";
import { shardsOfSlots } from "./slots-reply.ts";
import type { TopologyDescription } from "./topology.ts";
import {
  configEpochsIn,
  type LastAddress,
  mayKeepSlotsBack,
  parseClusterNodes,
  parseClusterShards,
  singleNode,
  withRolesOf,
} from "./topology-reply.ts";

/** What one server says of the cluster and of itself. */
export interface Account {
  readonly description: TopologyDescription;
  /** The answer to CLUSTER MYID. Undefined where nothing was asked. */
  readonly introduction: PromiseSettledResult<Reply> | undefined;
  /** Whether the server says that its cluster is down. */
  readonly isFailing: boolean;
  /** The config epochs by node id, where CLUSTER NODES was read. */
  readonly epochs: ReadonlyMap<string, number> | undefined;
}

/** The questions that describe a cluster. Whichever of them a user may ask is enough. */
type Question = "SHARDS" | "NODES" | "SLOTS";

/** CLUSTER SHARDS names the most (since 7.0). CLUSTER SLOTS lacks nodes without slots, and nodes that failed. */
const IN_TURN: readonly Question[] = ["SHARDS", "NODES", "SLOTS"];

/** The question that was answered, for connections on which that was not SHARDS: it is asked first from then on. */
const answered = new WeakMap<Connection, Question>();

/** The terms of asking one server. */
export interface Asking {
  readonly environment: Environment;
  readonly answersAs: NodeAddress;
  readonly tls: boolean;
  /** For nodes whose address the server does not know. */
  readonly lastAddress: LastAddress | undefined;
  /** Spares the reading of what was read before. Undefined where nothing is asked twice. */
  readonly saidBefore: SaidBefore | undefined;
  /** Called with the answer to CLUSTER MYID before the description is read. */
  readonly prove: (introduction: PromiseSettledResult<Reply> | undefined) => Promise<void>;
}

/** A description of so many nodes and bounds of slots is read in a turn of its own, behind the one in which it was decoded. */
const LARGE = 500;

/**
 * Asks one server for its account.
 *
 *   SHARDS, MYID, INFO in one write -- a description --------------------------------> the account
 *        '-- refused --> NODES, SLOTS in one write -- a description -----------------> the account
 *                                '-- all three say that they know no CLUSTER --------> a single server
 *        '-- no cluster mode --------------------------------------------------------> a single server
 *
 * @throws {ReplyError} The user may ask none of these questions, or the server cannot answer now.
 */
export async function accountOf(connection: Connection, asking: Asking): Promise<Account> {
  const first = answered.get(connection) ?? "SHARDS";
  const command = ["CLUSTER", first];
  const question = first === "SHARDS" ? asking.saidBefore?.question(asking.answersAs, command) : undefined;
  const replies = connection.exchange(question ?? command, WHO_ARE_YOU, ["CLUSTER", "INFO"]);
  const [answer, introduction, info] = await Promise.allSettled(replies);
  await asking.prove(introduction);
  const isFailing = info?.status === "fulfilled" && /^cluster_state:fail/m.test(String(info.value));
  const known = question?.known;
  if (known !== undefined) return { description: known, epochs: undefined, introduction, isFailing };
  if (answer?.status === "fulfilled" && sizeOf(answer.value) > LARGE) await nextTurn(asking.environment.clock);
  const said = await described(connection, asking, first, answer as PromiseSettledResult<Reply>);
  if (said.isByReplyAlone === true) question?.remember(said.description);
  return { description: said.description, epochs: said.epochs, introduction, isFailing };
}

/** The account of a server that is asked nothing, because it is known to be a single one. */
export function unaskedAccount(answersAs: NodeAddress): Account {
  return { description: singleNode(answersAs), introduction: undefined, isFailing: false, epochs: undefined };
}

/** The id that the server gave. Undefined where it gave none. */
export function idIn({ introduction }: Account): string | undefined {
  const introduced = introductionOf(introduction);
  return introduced.kind === "id" ? introduced.id : undefined;
}

/** The config epochs in CLUSTER NODES; none where it may not be asked. */
export async function epochsAt(connection: Connection): Promise<ReadonlyMap<string, number>> {
  const nodes = await ask(connection, "NODES").catch(() => undefined);
  return typeof nodes === "string" ? configEpochsIn(nodes) : new Map();
}

interface Said extends Pick<Account, "description" | "epochs"> {
  /** Whether the description follows from one reply, and from nothing else that was asked or known. */
  readonly isByReplyAlone?: boolean;
}

async function described(
  connection: Connection,
  asking: Asking,
  first: Question,
  answer: PromiseSettledResult<Reply>,
): Promise<Said> {
  if (answer.status === "fulfilled") return read(connection, asking, first, answer.value);
  const refusals = [refusalIn(answer.reason)];
  if (clusterSupportIn((refusals[0] as ReplyError).reply) === "disabled") return unaskedAccount(asking.answersAs);
  const others = IN_TURN.filter((question) => question !== first);
  const answers = await Promise.allSettled(connection.exchange(...others.map((question) => ["CLUSTER", question])));
  for (const [index, question] of others.entries()) {
    const other = answers[index] as PromiseSettledResult<Reply>;
    if (other.status === "rejected") {
      refusals.push(refusalIn(other.reason));
      continue;
    }
    answered.set(connection, question);
    return read(connection, asking, question, other.value);
  }
  const isUnknown = ({ reply }: ReplyError) => clusterSupportIn(reply) !== undefined;
  if (refusals.every(isUnknown)) return unaskedAccount(asking.answersAs);
  // A server that is too old for a question says little by that. What it says to the others counts.
  throw refusals.find(({ reply }) => parseErrorReply(reply).kind === "noperm") ?? refusals[0];
}

/** A refusal after which another question can help: one of this question, and not of the server as it is now. */
function refusalIn(reason: unknown): ReplyError {
  if (!(reason instanceof ReplyError)) throw reason;
  if (!["noperm", "declined", "other"].includes(parseErrorReply(reason.reply).kind)) throw reason;
  return reason;
}

async function read(connection: Connection, asking: Asking, question: Question, reply: Reply): Promise<Said> {
  const { answersAs, tls, lastAddress } = asking;
  if (question === "NODES") {
    const epochs = typeof reply === "string" ? configEpochsIn(reply) : undefined;
    return { description: parseClusterNodes(reply, answersAs, lastAddress), epochs };
  }
  if (question === "SLOTS") {
    if (Array.isArray(reply) && reply.length === 0)
      throw new Error("the server knows of no slots: CLUSTER SLOTS is empty");
    return { description: parseClusterShards(shardsOfSlots(reply), answersAs, tls, lastAddress), epochs: undefined };
  }
  let isByReplyAlone = true;
  const found = (id: string) => {
    isByReplyAlone = false;
    return lastAddress?.(id);
  };
  const description = parseClusterShards(reply, answersAs, tls, found);
  if (!mayKeepSlotsBack(reply, description)) return { description, epochs: undefined, isByReplyAlone };
  // The other questions keep no slots back. Whichever of them the user may ask is enough.
  for (const other of ["NODES", "SLOTS"] as const) {
    const asked = ask(connection, other).then((said) => read(connection, asking, other, said));
    const said = await asked.catch(() => undefined);
    if (said !== undefined) return { ...said, description: withRolesOf(said.description, description) };
  }
  return { description, epochs: undefined };
}

/** About how many nodes and bounds of slots a description has. */
function sizeOf(reply: Reply): number {
  if (!Array.isArray(reply)) return 0;
  let size = 0;
  for (const shard of reply)
    if (Array.isArray(shard)) for (const part of shard) size += Array.isArray(part) ? part.length : 0;
  return size;
}

function ask(connection: Connection, question: Question): Promise<Reply> {
  return connection.exchange(["CLUSTER", question])[0] as Promise<Reply>;
}
