import type { Argument, CommandArguments, Reply } from "../protocol/reply.ts";
import type { CollectionReplies } from "./replies/collections.ts";
import type { ServerReplies } from "./replies/server.ts";
import type { StreamReplies } from "./replies/streams.ts";
import type { StringReplies } from "./replies/strings.ts";
import type { UnprovenReplies } from "./replies/unproven.ts";

/**
 * The type of each command's reply, by the command's name in upper case: of Redis 8 and Valkey 9, in the shapes of RESP2.
 * A command that has subcommands is listed by these, `"CONFIG GET"`. A reply that depends on the arguments is a union.
 * Integers are `number`: a counter past 2^53, which arrives as a `bigint`, has to be asked for by
 * `command<number | bigint>("INCR", key)`. `never` marks commands that `command` refuses.
 *
 * Add the commands of your modules, from any module of your program:
 * `declare module "slotwire" { interface CommandReplies { "MY.CMD": number } }`. Strings of a reply are written as
 * `string`; views with `replies: "buffer"` have `Buffer` in their place.
 */
export interface CommandReplies
  extends StringReplies,
    CollectionReplies,
    StreamReplies,
    ServerReplies,
    UnprovenReplies {}

/**
 * The type of the reply to a command, as `command` gives it.
 * `N` is the command's name in either case, `A` its arguments, `S` the type of strings in the view: `string` or `Buffer`.
 */
export type CommandReply<
  N extends string,
  A extends CommandArguments = readonly Argument[],
  S extends string | Buffer = string,
> = InView<Listed<Uppercase<N>, Uppercase<FirstOf<A>>>, S>;

/** A name that is not known until the program runs is in no key of the table, so its reply is a `Reply`. */
type Listed<U extends string, F extends string> = U extends string
  ? F extends string
    ? `${U} ${F}` extends keyof CommandReplies
      ? CommandReplies[`${U} ${F}`]
      : U extends keyof CommandReplies
        ? CommandReplies[U]
        : U extends keyof Containers
          ? IsLiteral<F> extends true
            ? Reply
            : Containers[U]
          : Reply
    : never
  : never;

/** For each command that has subcommands the reply of any. The compiler makes this table once, not at each call. */
type Containers = {
  [K in keyof CommandReplies as K extends `${infer U} ${string}` ? U : never]: CommandReplies[K];
};

type IsLiteral<F extends string> = Record<never, never> extends Record<F, unknown> ? false : true;

type FirstOf<A extends CommandArguments> = A extends readonly [infer F extends string, ...unknown[]]
  ? F
  : A extends readonly [readonly [infer F extends string, ...unknown[]]]
    ? F
    : string;

declare const byName: unique symbol;

/** In the place of the type of a reply: the name of the command says it. */
export interface ByName {
  /** No value has this type. */
  readonly [byName]: never;
}

/**
 * The type of `command`'s result: `T` where the caller says it, or else what `CommandReply` gives. What the result is
 * assigned to says nothing: `const n: number = await command("GET", key)` does not compile.
 */
export type CommandResult<
  T,
  N extends string,
  A extends CommandArguments = readonly Argument[],
  S extends string | Buffer = string,
> = 0 extends T & 1
  ? NoInfer<T>
  : [T] extends [never]
    ? never
    : [T] extends [ByName]
      ? CommandReply<N, A, S>
      : NoInfer<T>;

type InView<T, S extends string | Buffer> = S extends string ? T : WithBuffers<T>;

/** `Reply` has Buffers already. It refers to itself, so it is not walked. */
type WithBuffers<T> = Reply extends T ? T : WithBuffersIn<T>;
type WithBuffersIn<T> = T extends string
  ? Buffer
  : T extends readonly unknown[]
    ? { [I in keyof T]: WithBuffers<T[I]> }
    : T;
