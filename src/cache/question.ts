import { bufferOf, inOnePiece } from "../protocol/encode.ts";
import type { Argument } from "../protocol/reply.ts";

/*
 * What is asked, and how it is found. A number is computed of all that a call says, and what is found by this number is
 * compared with the call. A string of all of it, as a key, would take three times as long: the engine joins its pieces when
 * it looks the string up.
 */

const PRIME = 0x01000193;

/** The value as it is sent, where it is not a string. Undefined for bytes, and for what is no argument. */
function textOf(value: Argument): string | undefined {
  if (typeof value === "number") return Number.isNaN(value) ? undefined : String(value);
  return typeof value === "bigint" ? String(value) : undefined;
}

/**
 * A whole number of 32 bits. Others may have the same one.
 * @param head  Stands for the script or the command: see `Heads`.
 * @param args  The values behind the keys. A command has all its values in `keys`.
 */
export function hashOf(head: number, keys: readonly Argument[], args: readonly Argument[]): number {
  return mixed(hashed(hashed(Math.imul(head ^ keys.length, PRIME), keys), args));
}

/** The same of one text. */
export function hashOfText(text: string): number {
  return mixed(withText(PRIME, text));
}

/** What the last characters have changed in the upper bits alone would not show in the lower ones. */
function mixed(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return once ^ (once >>> 13);
}

function withText(start: number, text: string): number {
  let hash = start;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME);
  return hash;
}

function hashed(start: number, values: readonly Argument[]): number {
  let hash = start;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as Argument;
    if (value instanceof Uint8Array) {
      for (let at = 0; at < value.length; at++) hash = Math.imul(hash ^ (value[at] as number), PRIME);
    } else {
      hash = withText(hash, typeof value === "string" ? value : (textOf(value) ?? ""));
    }
    // No byte is 256, and few characters are.
    hash = Math.imul(hash ^ 0x100, PRIME);
  }
  return hash;
}

/**
 * What one call asked. Two calls ask the same only if they send the same bytes; where they send the same bytes they may ask
 * differently, as with a string and a Buffer.
 */
export class Question {
  readonly hash: number;
  readonly head: number;
  readonly keys: readonly (string | Buffer)[];
  readonly args: readonly (string | Buffer)[];

  /** @param keys, args  Are valid. Bytes that the caller may change are copied. */
  constructor(head: number, keys: readonly Argument[], args: readonly Argument[]) {
    this.hash = hashOf(head, keys, args);
    this.head = head;
    this.keys = keys.map(kept);
    this.args = args.map(kept);
  }

  /** Whether a call with these values asks the same. It is not for values that are no arguments, such as undefined. */
  isOf(head: number, keys: readonly Argument[], args: readonly Argument[]): boolean {
    return head === this.head && areSame(this.keys, keys) && areSame(this.args, args);
  }

  isSameAs(other: Question): boolean {
    return other === this || this.isOf(other.head, other.keys, other.args);
  }
}

function kept(value: Argument): string | Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value !== "string") return String(value);
  return value.length < SHORTEST_PART ? value : Buffer.from(value).toString();
}

/** V8 keeps a part of a text, from so many characters on, as a reference that holds the whole text. */
const SHORTEST_PART = 13;

/** The same binary string, which holds no larger one in memory. */
export function alone(binary: string): string {
  return binary.length < SHORTEST_PART ? binary : inOnePiece(binary);
}

function areSame(own: readonly (string | Buffer)[], values: readonly Argument[]): boolean {
  if (own.length !== values.length) return false;
  for (let index = 0; index < own.length; index++) {
    const value = values[index] as Argument;
    if (value !== own[index] && !isSame(own[index] as string | Buffer, value)) return false;
  }
  return true;
}

function isSame(own: string | Buffer, value: Argument): boolean {
  if (typeof own === "string") return typeof value !== "string" && textOf(value) === own;
  return value instanceof Uint8Array && own.equals(bufferOf(value));
}
