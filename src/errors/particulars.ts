import { type Outcome, SlotwireError } from "./slotwire-error.ts";

/** What a call's error tells about the call. */
export interface Particulars {
  /** The name of the command or script. A name that is no plain word is left out, because it can hold arguments. */
  readonly command?: string | undefined;
  /** `command` is the name of a script. */
  readonly isScript?: boolean | undefined;
  readonly address?: string | undefined;
  /** -1 for a call without keys. */
  readonly slot?: number | undefined;
  /** The user asked for `command`: it takes the place of the command of a step. */
  readonly isWhole?: boolean | undefined;
}

/** What the message of an error was made from: its own text, and whether `command` is the name of a script. */
interface Wording {
  readonly text: string;
  readonly isScript: boolean;
}
const wordings = new WeakMap<SlotwireError, Wording>();
const COMMAND = /^[a-z][\w.-]{0,40}$/i;

/**
 * A copy of a call's error that names the call's command or script, its slot and the node that was asked last. The copy
 * keeps what the error names already. An error of another kind is returned as it is.
 *
 * The error itself is left alone, because one lost connection or one refused login is the error of many calls.
 */
export function withParticulars<E>(error: E, particulars: Particulars): E {
  if (!(error instanceof SlotwireError)) return error;
  const { command, isScript = false, address, slot = -1, isWhole = false } = particulars;
  const changed: { -readonly [K in "command" | "address" | "slot"]?: string | number } = {};
  let wording = wordingOf(error);
  if ((isWhole || error.command === undefined) && command !== undefined && (isScript || COMMAND.test(command))) {
    changed.command = isScript ? command : command.toUpperCase();
    wording = { ...wording, isScript };
  }
  if (error.address === undefined && address !== undefined) changed.address = address;
  if (error.slot === undefined && slot >= 0) changed.slot = slot;
  return Object.keys(changed).length === 0 ? error : copyOf(error, wording, changed);
}

/** A copy of the error of one part or one node, with `outcome` replaced by the outcome of the whole call. */
export function withOutcome<E extends SlotwireError>(error: E, outcome: Outcome): E {
  if (error.outcome === outcome) return error;
  const rest = outcome === "executed" ? "another part ran" : "another part may have run";
  const { text, isScript } = wordingOf(error);
  return copyOf(error, { text: `${text} (one part of the call failed; ${rest})`, isScript }, { outcome });
}

/** The message of an error without the particulars at its end. */
export function plainMessageOf(error: SlotwireError): string {
  return wordingOf(error).text;
}

function wordingOf(error: SlotwireError): Wording {
  return wordings.get(error) ?? { text: error.message, isScript: false };
}

/** A copy with another text and other properties. It is a native error, like `error`, with a stack of its own. */
function copyOf<E extends SlotwireError>(error: E, wording: Wording, changed: object): E {
  const { stack: _, message: __, ...own } = Object.getOwnPropertyDescriptors(error) as PropertyDescriptorMap;
  const names = namesOf({ ...error, ...changed }, wording);
  const message = names === "" ? wording.text : `${wording.text} [${names}]`;
  const copy = Reflect.construct(Error, [message], error.constructor as never) as E;
  wordings.set(Object.assign(Object.defineProperties(copy, own), changed), wording);
  return copy;
}

/**
 * The particulars, separated by commas. A node, a slot or a script that the text names is left out. A command is always
 * named, because its name can be any word of the text.
 */
function namesOf(
  { command, address, slot }: Pick<SlotwireError, "command" | "address" | "slot">,
  { text, isScript }: Wording,
): string {
  const names: string[] = [];
  const name = isScript ? `script "${command}"` : command;
  if (name !== undefined && !(isScript && text.includes(name))) names.push(name);
  if (slot !== undefined && !new RegExp(`\\bslot ${slot}\\b`).test(text)) names.push(`slot ${slot}`);
  if (address !== undefined && !text.includes(address)) names.push(`node ${address}`);
  return names.join(", ");
}
