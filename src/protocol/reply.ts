/**
 * A decoded reply of the server (RESP2). A status or bulk string is a `string`, or a `Buffer` with `replies: "buffer"`.
 * An integer is a `number`, or a `bigint` past 2^53. An error reply rejects the call. An error inside an array becomes
 * a `ReplyError` element of the array.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export type Reply = string | number | bigint | Buffer | null | Reply[] | Error;

/**
 * A key or an argument. A string is sent as UTF-8, a number or bigint as decimal text, a Buffer or Uint8Array as its
 * bytes. NaN is refused.
 */
export type Argument = string | Buffer | Uint8Array | number | bigint;

/** The arguments behind a command's name; or one array of them, which may have more elements than a call has arguments. */
export type CommandArguments = readonly Argument[] | readonly [args: readonly Argument[]];
