import type { Connection } from "../connection/connection.ts";
import { introductionOf, isNodeId, StrangerError, verifyIdentity, WHO_ARE_YOU } from "../connection/identity.ts";
import { setPatience } from "../connection/signs-of-life.ts";
import type { Environment, Timer } from "../environment.ts";
import { ReplyError, UnavailableError } from "../errors.ts";
import { CLUSTER_DISABLED, isUnknownCommand } from "../protocol/error-reply.ts";
import type { NodeAddress } from "../protocol/node-address.ts";
import type { Reply } from "../protocol/reply.ts";
import type { TopologyDescription } from "./topology.ts";
import {
  configEpochsIn,
  hasRivalPrimaries,
  parseClusterNodes,
  parseClusterShards,
  singleNode,
  withRolesOf,
} from "./topology-reply.ts";
import type { View } from "./view-judgement.ts";

/** A node that can be asked for the topology. */
export interface Informant {
  readonly address: string;
  /** The address that is meant when the answer names no host. */
  readonly answersAs: NodeAddress;
  /** The node of the topology that this is. Undefined for a seed, which is only an address. */
  readonly known?: KnownNode;
  /**
   * A connection that is open, or is being opened. A connection that is opened only for this query is also handed to
   * `onTemporary` at once, and the inquiry closes it when the query is answered.
   */
  connect(onTemporary: (connection: Connection) => void): Promise<Connection>;
}

/** What is known of an informant that the topology lists. */
export interface KnownNode {
  /** Its id; empty where the topology has none. */
  readonly id: string;
  readonly isPrimary: boolean;
  /** Another server answers at its address. */
  onStranger(cause: StrangerError): void;
}

/** When an informant has been silent for this long, the next one is asked as well. */
const HEDGE_MS = 200;

/** The settings of an inquiry. */
export interface InquiryOptions {
  readonly environment: Environment;
  readonly tls: boolean;
  /** Milliseconds that one informant may take to answer. */
  readonly answerTimeoutMs: number;
}

/**
 * What a view is worth. A `poor` one counts only when no informant has a `good` one. An error: it does not count, and
 * why.
 */
export type Worth = "good" | "poor" | Error;

/** What the owner of an inquiry decides about views. */
export interface InquiryTerms {
  worthOf(description: TopologyDescription): Worth;
  /** Whether config epochs are needed to judge a view. Only CLUSTER NODES has them. */
  wantsEpochs(description: TopologyDescription): boolean;
}

/** Where nothing is known yet. A new, removed or reset node gives a valid answer without a single slot. */
const FIRST: InquiryTerms = {
  worthOf: ({ slots }) => (slots.length === 0 ? "poor" : "good"),
  wantsEpochs: () => false,
};

/** One query for the topology, which may ask several nodes. */
export class Inquiry {
  readonly #options: InquiryOptions;
  readonly #terms: InquiryTerms;
  readonly #temporary = new Set<Connection>();
  readonly #causes = new Map<string, unknown>();
  #answer: View | undefined;
  #poorAnswer: View | undefined;
  #closed = false;

  constructor(options: InquiryOptions, terms = FIRST) {
    this.#options = options;
    this.#terms = terms;
  }

  /**
   * Asks one informant after the other, and asks the next one early when an informant is silent. The first usable
   * answer counts.
   * @throws {UnavailableError} when no informant gave a usable answer. It has the cause for each informant.
   */
  async ask(informants: readonly Informant[]): Promise<View> {
    const { clock } = this.#options.environment;
    const asked: Promise<void>[] = [];
    try {
      for (const informant of informants) {
        const one = this.#askOne(informant);
        asked.push(one);
        let patience: Timer | undefined;
        const silence = new Promise<void>((resolve) => {
          // An answer may already have arrived while this process was busy. So the sockets are read first.
          patience = clock.setTimer(() => clock.afterReads(resolve), HEDGE_MS);
        });
        await Promise.race([one, silence]);
        patience?.cancel();
        if (this.#answer) return this.#answer;
        if (this.#closed) break;
      }
      // All informants have been asked, and some are still silent. Wait for the first answer.
      await new Promise<void>((resolve) => {
        for (const one of asked) void one.then(() => this.#answer && resolve());
        void Promise.all(asked).then(() => resolve());
      });
      const answer = this.#answer ?? this.#poorAnswer;
      if (answer) return answer;
      throw new UnavailableError("No node could be asked for the cluster's topology", this.#causes);
    } finally {
      this.close();
    }
  }

  /** Closes the connections that were opened for this query. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#temporary) connection.close(new Error("no longer needed"));
  }

  async #askOne(informant: Informant): Promise<void> {
    const { environment, tls, answerTimeoutMs } = this.#options;
    let timer: Timer | undefined;
    try {
      const connection = await informant.connect((temporary) => this.#temporary.add(temporary));
      const late = new Promise<never>((_, reject) => {
        const tooLate = () => reject(new Error(`no answer within ${answerTimeoutMs} ms`));
        timer = setPatience(environment.clock, answerTimeoutMs, tooLate);
      });
      const view = await Promise.race([viewOf(connection, informant, tls, this.#terms), late]);
      const worth = this.#terms.worthOf(view.description);
      if (worth instanceof Error) throw worth;
      if (worth === "good") this.#answer ??= view;
      else if (this.#poorAnswer === undefined || this.#poorAnswer.description.slots.length === 0)
        this.#poorAnswer = view;
    } catch (cause) {
      this.#causes.set(informant.address, cause);
    } finally {
      timer?.cancel();
    }
  }
}

async function viewOf(connection: Connection, informant: Informant, tls: boolean, terms: InquiryTerms): Promise<View> {
  const replies = connection.exchange(["CLUSTER", "SHARDS"], WHO_ARE_YOU, ["CLUSTER", "INFO"]);
  const [shards, introduction, info] = await Promise.allSettled(replies);
  await identify(connection, informant, introduction);
  const description = await describe(connection, informant.answersAs, tls, shards as PromiseSettledResult<Reply>);
  const introduced = introductionOf(introduction);
  return {
    description,
    from: informant.address,
    id: introduced.kind === "id" ? introduced.id : undefined,
    isPrimary: informant.known?.isPrimary === true,
    isFailing: info?.status === "fulfilled" && /^cluster_state:fail/m.test(String(info.value)),
    epochs: terms.wantsEpochs(description) ? await epochsAt(connection) : NO_EPOCHS,
  };
}

const NO_EPOCHS: ReadonlyMap<string, number> = new Map();

/** The config epochs in CLUSTER NODES; none where it may not be asked. */
async function epochsAt(connection: Connection): Promise<ReadonlyMap<string, number>> {
  const nodes = await askForNodes(connection).catch(() => undefined);
  return typeof nodes === "string" ? configEpochsIn(nodes) : NO_EPOCHS;
}

async function describe(
  connection: Connection,
  answersAs: NodeAddress,
  tls: boolean,
  shards: PromiseSettledResult<Reply>,
): Promise<TopologyDescription> {
  try {
    if (shards.status === "rejected") throw shards.reason;
    const description = parseClusterShards(shards.value, answersAs, tls);
    if (!hasRivalPrimaries(shards.value)) return description;
    const nodes = await askForNodes(connection).catch(() => undefined);
    return nodes === undefined ? description : withRolesOf(parseClusterNodes(nodes, answersAs), description);
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error;
    if (error.reply === CLUSTER_DISABLED) return singleNode(answersAs);
    if (!isUnknownCommand(error.reply)) throw error;
    return parseClusterNodes(await askForNodes(connection), answersAs);
  }
}

/** Makes sure that a node of the topology is still the one that is known by this address. */
async function identify(
  connection: Connection,
  informant: Informant,
  introduction: PromiseSettledResult<Reply> | undefined,
): Promise<void> {
  const { known, address } = informant;
  if (known === undefined || !isNodeId(known.id)) return;
  try {
    await verifyIdentity((...commands) => connection.exchange(...commands), introduction, known.id, address);
  } catch (error) {
    if (error instanceof StrangerError) known.onStranger(error);
    throw error;
  }
}

function askForNodes(connection: Connection): Promise<Reply> {
  return connection.exchange(["CLUSTER", "NODES"])[0] as Promise<Reply>;
}
