import { InvalidArgumentError } from "../errors.ts";

/** The error of a wrong option of `connect`. */
export function invalid(what: string): InvalidArgumentError {
  return new InvalidArgumentError(`connect: ${what}.`);
}

export function isPlainObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
