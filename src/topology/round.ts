import type { NodeAddress } from "../protocol/node-address.ts";
import { type Informant, Inquiry, type InquiryOptions, type Worth } from "./inquiry.ts";
import type { SaidBefore } from "./said-before.ts";
import type { Topology, TopologyDescription } from "./topology.ts";
import { changesOwners, doubtOf, isForeign, saysTheSame, type View, viewThatCounts } from "./view-judgement.ts";

/** A node that is alone within reach is believed when it has said the same for this long. */
const ALONE_MS = 200;
/** When views differ, the other nodes have this long to say what they think. */
const POLL_MS = 300;

/** What is known before a round. */
export interface Beliefs {
  readonly present: Topology;
  /** The highest config epochs that were seen, by node id. The round adds to them. */
  readonly epochs: Map<string, number>;
  /** The long descriptions that were read before. The round adds to them. */
  readonly saidBefore: SaidBefore;
  /** Whether calls wait for the owner of a slot that has none. */
  readonly isOwnerWanted: boolean;
  /** Whether no node of the present topology could be reached under its own id for long, so that the seeds decide. */
  readonly isOutOfReach: boolean;
}

/** The end of a round. */
export interface Finding {
  /** The description to adopt. Undefined: the present topology stays. */
  readonly adopt: TopologyDescription | undefined;
  /** Whether two nodes said so, or all that can be reached. */
  readonly isAgreed: boolean;
}

const NOTHING: Finding = { adopt: undefined, isAgreed: false };

function lastAddressIn({ nodes }: Topology, id: string): NodeAddress | undefined {
  const node = id === "" ? undefined : nodes.find((each) => each.id === id);
  return node && { host: node.host, port: node.port };
}

/** Why a view says nothing about the cluster. */
const FOREIGN = {
  "no-cluster": "the server has no cluster mode, so it is not of this cluster any more",
  "other-cluster": "the server is of another cluster: it names no node of this one",
};

/**
 * One round of topology queries. An ordinary round is one question to one node.
 *
 *   first view -- in no doubt ----------------------------------------------> adopted
 *       '-- in doubt --> second view -- the same ---------------------------> adopted, agreed
 *                 |            '-- another --> all primaries -- most say so -> adopted, agreed
 *                 |                                  '-- as many against it -> nothing
 *                 '-- nobody else in reach --> the same node after 200 ms --> adopted, agreed, if it says the same
 */
export class Round {
  readonly #options: InquiryOptions;
  readonly #beliefs: Beliefs;
  readonly #inquiries = new Set<Inquiry>();
  readonly #views: View[] = [];
  #closed = false;

  constructor(options: InquiryOptions, beliefs: Beliefs) {
    this.#options = options;
    this.#beliefs = beliefs;
  }

  /** @throws {UnavailableError} No informant gave a usable answer. */
  async run(informants: readonly Informant[]): Promise<Finding> {
    const { epochs } = this.#beliefs;
    try {
      return await this.#find(informants);
    } finally {
      // Not before: whether an epoch is higher is judged beside what was known before this round.
      for (const view of this.#views) {
        for (const [id, epoch] of view.epochs) epochs.set(id, Math.max(epoch, epochs.get(id) ?? -1));
      }
    }
  }

  async #find(informants: readonly Informant[]): Promise<Finding> {
    const { present, epochs, isOwnerWanted } = this.#beliefs;
    const first = await this.#ask(informants);
    const { description } = first;
    // A node that was removed or reset knows of no slots. The present topology is better than its view.
    if (description.slots.length === 0 && present.hasOwners) return NOTHING;
    const doubt = isForeign(present, description) ?? doubtOf(present, first, epochs, isOwnerWanted);
    if (doubt === undefined || doubt === "other-cluster" || doubt === "no-cluster") {
      return { adopt: description, isAgreed: false };
    }
    const isOther = ({ known, address }: Informant) =>
      known !== undefined && address !== first.from && (known.id === "" || known.id !== first.id);
    const others = informants.filter(isOther);
    const second = others.length === 0 ? undefined : await this.#ask(others).catch(() => undefined);
    if (this.#closed) return NOTHING;
    if (second === undefined) return this.#alone(first, informants);
    const both = viewThatCounts(present, [first, second], false);
    if (both !== undefined) return { adopt: both.description, isAgreed: true };
    const rest = others.filter(({ known, address }) => known?.isPrimary === true && address !== second.from);
    const most = viewThatCounts(present, [first, second, ...(await this.#poll(rest))], true);
    return most === undefined ? NOTHING : { adopt: most.description, isAgreed: true };
  }

  close(): void {
    this.#closed = true;
    for (const inquiry of this.#inquiries) inquiry.close();
  }

  /** The only node in reach is asked once more, after a while. */
  async #alone(first: View, informants: readonly Informant[]): Promise<Finding> {
    const { clock } = this.#options.environment;
    await new Promise<void>((resolve) => clock.setTimer(resolve, ALONE_MS));
    if (this.#closed) return NOTHING;
    const again = await this.#ask(informants.filter(({ address }) => address === first.from)).catch(() => undefined);
    if (again === undefined || !saysTheSame(this.#beliefs.present, first, again)) return NOTHING;
    return { adopt: again.description, isAgreed: true };
  }

  async #poll(informants: readonly Informant[]): Promise<View[]> {
    const { clock } = this.#options.environment;
    const views: View[] = [];
    const asked = informants.map((informant) =>
      this.#ask([informant]).then(
        (view) => void views.push(view),
        () => {},
      ),
    );
    let timer: { cancel(): void } | undefined;
    const late = new Promise<void>((resolve) => {
      timer = clock.setTimer(() => clock.afterReads(resolve), POLL_MS);
    });
    await Promise.race([Promise.all(asked), late]);
    timer?.cancel();
    return [...views];
  }

  async #ask(informants: readonly Informant[]): Promise<View> {
    const { present, saidBefore } = this.#beliefs;
    const inquiry = new Inquiry(this.#options, {
      worthOf: (view) => this.#worthOf(view),
      wantsEpochs: (description) => changesOwners(present, description),
      lastAddress: (id) => lastAddressIn(present, id),
      saidBefore,
    });
    this.#inquiries.add(inquiry);
    const view = await inquiry.ask(informants);
    this.#inquiries.delete(inquiry);
    this.#views.push(view);
    return view;
  }

  #worthOf(description: TopologyDescription): Worth {
    const why = isForeign(this.#beliefs.present, description);
    if (why === undefined) return description.slots.length === 0 ? "poor" : "good";
    return why === "no-cluster" || !this.#beliefs.isOutOfReach ? new Error(FOREIGN[why]) : "poor";
  }
}
