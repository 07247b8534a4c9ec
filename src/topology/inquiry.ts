import type { Connection } from "../connection/connection.ts";
import { Farewell } from "../connection/farewell.ts";
import { isNodeId, StrangerError, verifyIdentity } from "../connection/identity.ts";
import { SignsOfLife, setPatience } from "../connection/signs-of-life.ts";
import type { Environment, Timer } from "../environment.ts";
import { ReplyError, UnavailableError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { NodeAddress } from "../protocol/node-address.ts";
import type { Reply } from "../protocol/reply.ts";
import { accountOf, epochsAt, idIn, unaskedAccount } from "./account.ts";
import type { SaidBefore } from "./said-before.ts";
import type { TopologyDescription } from "./topology.ts";
import type { LastAddress } from "./topology-reply.ts";
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
  /**
   * Whether every informant is a single server, so that no question is sent.
   * @default false
   */
  readonly isSingle?: boolean;
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
  /** Where nodes were last found. Undefined where nothing is known yet. */
  readonly lastAddress?: LastAddress;
  /** What was read before. Undefined where it is asked once. */
  readonly saidBefore?: SaidBefore;
}

/** Where nothing is known yet. A new, removed or reset node gives a valid answer without a single slot. */
const FIRST: InquiryTerms = {
  worthOf: ({ slots }) => (slots.length === 0 ? "poor" : "good"),
  wantsEpochs: () => false,
};

/** Advice for servers that keep CLUSTER from their users in words that are no proof of a single server. */
const ADVICE = 'For a single server, or a proxy, write mode: "single": then no CLUSTER command is sent.';

/** One query for the topology, which may ask several nodes. */
export class Inquiry {
  readonly #options: InquiryOptions;
  readonly #terms: InquiryTerms;
  readonly #temporary = new Set<Connection>();
  readonly #causes = new Map<string, unknown>();
  #answer: View | undefined;
  #poorAnswer: View | undefined;
  /** A server took the connection, and would not describe a cluster. */
  #wasRefused = false;
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
      const advice = this.#wasRefused && this.#terms === FIRST ? ADVICE : undefined;
      throw new UnavailableError(
        "No node could be asked for the cluster's topology",
        this.#causes,
        "not-executed",
        advice,
      );
    } finally {
      this.close();
    }
  }

  /** Closes the connections that were opened for this query. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#temporary) connection.close(new Farewell("not-needed", "no longer needed"));
  }

  async #askOne(informant: Informant): Promise<void> {
    const { environment, answerTimeoutMs } = this.#options;
    let timer: Timer | undefined;
    let isConnected = false;
    try {
      const connection = await informant.connect((temporary) => this.#temporary.add(temporary));
      const late = new Promise<never>((_, reject) => {
        const tooLate = () => reject(new Error(`no answer within ${answerTimeoutMs} ms`));
        // A description of a large cluster takes its time on a slow link.
        timer = setPatience(environment.clock, answerTimeoutMs, tooLate, new SignsOfLife(connection));
      });
      isConnected = true;
      const view = await Promise.race([viewOf(connection, informant, this.#options, this.#terms), late]);
      const worth = this.#terms.worthOf(view.description);
      if (worth instanceof Error) throw worth;
      if (worth === "good") this.#answer ??= view;
      else if (this.#poorAnswer === undefined || this.#poorAnswer.description.slots.length === 0)
        this.#poorAnswer = view;
    } catch (cause) {
      this.#wasRefused ||= isConnected && isRefusedForGood(cause);
      this.#causes.set(informant.address, cause);
    } finally {
      timer?.cancel();
    }
  }
}

async function viewOf(
  connection: Connection,
  informant: Informant,
  { environment, tls, isSingle = false }: InquiryOptions,
  terms: InquiryTerms,
): Promise<View> {
  const { answersAs, address, known } = informant;
  const prove = (introduction: PromiseSettledResult<Reply> | undefined) =>
    identify(connection, informant, introduction);
  const account = isSingle
    ? unaskedAccount(answersAs)
    : await accountOf(connection, {
        environment,
        answersAs,
        tls,
        prove,
        lastAddress: terms.lastAddress,
        saidBefore: terms.saidBefore,
      });
  const { description, isFailing } = account;
  return {
    description,
    from: address,
    id: idIn(account),
    isPrimary: known?.isPrimary === true,
    isFailing,
    epochs: account.epochs ?? (terms.wantsEpochs(description) ? await epochsAt(connection) : NO_EPOCHS),
  };
}

const NO_EPOCHS: ReadonlyMap<string, number> = new Map();

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

/** Whether a server answered, and yet gave no description, for another reason than its state at the moment. */
function isRefusedForGood(cause: unknown): boolean {
  if (!(cause instanceof ReplyError)) return true;
  return !["loading", "busy", "clusterdown", "masterdown"].includes(parseErrorReply(cause.reply).kind);
}
