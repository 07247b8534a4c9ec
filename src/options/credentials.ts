import { InvalidArgumentError } from "../errors.ts";
import { invalid, isPlainObject } from "./invalid.ts";
import type { Seed } from "./seeds.ts";

/** The user name and password with which connections log in. */
export interface Credentials {
  /** The name of an ACL user. Without a name, only the password is sent. */
  readonly username?: string | undefined;
  /** The password. Without a password, connections do not log in. */
  readonly password?: string | undefined;
  /**
   * In the answer of a `credentials` function: milliseconds after which the function is asked again. The open connections
   * log in again then.
   * @default never
   */
  readonly renewAfter?: number | undefined;
}

/** Where the user name and the password of every connection come from. */
export function readCredentials(
  given: Credentials,
  provider: (() => Promise<Credentials>) | undefined,
  seeds: readonly Seed[],
): () => Promise<Credentials> | Credentials {
  if (provider !== undefined) {
    if (typeof provider !== "function") throw invalid("credentials must be a function");
    if (given.username !== undefined || given.password !== undefined) {
      throw invalid("credentials cannot be combined with username or password");
    }
    return async () => {
      const answer = checked((await provider()) ?? {});
      const { renewAfter } = answer;
      return { ...withoutEmpty(answer), ...(renewAfter === undefined ? {} : { renewAfter }) };
    };
  }
  for (const [name, value] of Object.entries({ username: given.username, password: given.password })) {
    if (value !== undefined && typeof value !== "string") throw invalid(`${name} must be a string`);
  }
  const { username, password } = withoutEmpty(given);
  if (username !== undefined && password === undefined) throw invalid("username needs a password");
  const inUrls = seeds.flatMap(({ credentials }) => (credentials === undefined ? [] : withoutEmpty(credentials)));
  if (password !== undefined) {
    const own = withoutEmpty(given);
    return () => own;
  }
  const [first = {}, ...rest] = inUrls;
  if (rest.some((other) => other.username !== first.username || other.password !== first.password)) {
    throw invalid(
      "nodes have URLs with different credentials; accepted is one login, because it is used for every node",
    );
  }
  return () => first;
}

/** An empty user name or password is none, as where an environment variable is not set. */
function withoutEmpty({ username, password }: Credentials): Credentials {
  const named = username === undefined || username === "" ? {} : { username };
  return password === undefined || password === "" ? named : { ...named, password };
}

/** The answer of a provider, which is the application's: its type proves nothing. */
function checked(answer: unknown): Credentials {
  if (isPlainObject(answer)) {
    const { username, password, renewAfter } = answer as Credentials;
    const areTexts = [username, password].every((value) => value === undefined || typeof value === "string");
    if (renewAfter !== undefined && !(typeof renewAfter === "number" && renewAfter > 0)) {
      throw new InvalidArgumentError(
        "credentials returned a renewAfter that is no number above 0; accepted are milliseconds.",
      );
    }
    if (areTexts) return { username, password, renewAfter };
  }
  throw new InvalidArgumentError(
    "credentials returned no { username, password } with strings; accepted is a promise of these.",
  );
}
