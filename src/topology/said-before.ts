import { ControlRequest } from "../connection/request.ts";
import { formatAddress, type NodeAddress } from "../protocol/node-address.ts";
import type { Argument } from "../protocol/reply.ts";
import type { TopologyDescription } from "./topology.ts";

/** A shorter reply is read sooner than it is compared. */
const LEAST_BYTES = 16 * 1024;
/** Of so many nodes the last description is kept: its bytes, and what it was read as. */
const MOST_NODES = 4;

const OFFSET = Buffer.from("replication-offset\r\n:");
const MINUS = 0x2d;
const ZERO = 0x30;

/** A description as a node sent it, and what it was read as. */
interface Saying {
  readonly bytes: Buffer;
  readonly description: TopologyDescription;
}

/**
 * The long descriptions that nodes gave last. While nodes are down, a client asks twice a second, and mostly hears what it
 * heard before. A cluster whose slots lie in thousands of ranges describes itself in some 250 kB: such a reply is compared
 * with the one before, and decoded only if it says something else.
 */
export class SaidBefore {
  /** By the node that answered, the last one at the end. */
  readonly #sayings = new Map<string, Saying>();

  /** A question to the node at `answersAs`. All questions to it that are asked through here are the same one. */
  question(answersAs: NodeAddress, command: readonly Argument[]): DescriptionRequest {
    const name = formatAddress(answersAs);
    return new DescriptionRequest(command, this.#sayings.get(name), (saying) => {
      this.#sayings.delete(name);
      this.#sayings.set(name, saying);
      if (this.#sayings.size <= MOST_NODES) return;
      for (const oldest of this.#sayings.keys()) return void this.#sayings.delete(oldest);
    });
  }
}

/** The question for a description. */
export class DescriptionRequest extends ControlRequest {
  readonly #before: Saying | undefined;
  readonly #keep: (saying: Saying) => void;
  #bytes: Buffer | undefined;
  /** What the reply says, if it says what the last one said. The reply itself is null then. */
  known: TopologyDescription | undefined;

  constructor(command: readonly Argument[], before: Saying | undefined, keep: (saying: Saying) => void) {
    super(command);
    this.#before = before;
    this.#keep = keep;
  }

  isKnown(bytes: Buffer): boolean {
    if (bytes.length < LEAST_BYTES) return false;
    if (this.#before !== undefined && describeTheSame(this.#before.bytes, bytes)) this.known = this.#before.description;
    else this.#bytes = bytes;
    return this.known !== undefined;
  }

  /** The reply was read as `description`, for which nothing else was needed. */
  remember(description: TopologyDescription): void {
    // A copy, because there is more room behind the bytes.
    if (this.#bytes !== undefined) this.#keep({ bytes: Buffer.from(this.#bytes), description });
    this.#bytes = undefined;
  }
}

/** Whether two replies to CLUSTER SHARDS are the same but for how far replication has come. */
export function describeTheSame(a: Buffer, b: Buffer): boolean {
  for (let [atA, atB] = [0, 0]; ; ) {
    const [offsetA, offsetB] = [a.indexOf(OFFSET, atA), b.indexOf(OFFSET, atB)];
    const endA = offsetA === -1 ? a.length : offsetA + OFFSET.length;
    const endB = offsetB === -1 ? b.length : offsetB + OFFSET.length;
    if (a.compare(b, atB, endB, atA, endA) !== 0) return false;
    if (offsetA === -1) return true;
    atA = behindNumber(a, endA);
    atB = behindNumber(b, endB);
  }
}

function behindNumber(bytes: Buffer, from: number): number {
  let at = bytes[from] === MINUS ? from + 1 : from;
  while (at < bytes.length && (bytes[at] as number) >= ZERO && (bytes[at] as number) <= ZERO + 9) at++;
  return at;
}
