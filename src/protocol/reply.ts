/** What a server's reply becomes. Errors reject the call; only inside arrays do they stand as `ReplyError` values. */
export type Reply = string | number | bigint | Buffer | null | Reply[] | Error;

/** What a key or an argument may be. Numbers are sent as decimal text, strings as UTF-8. */
export type Argument = string | Buffer | Uint8Array | number | bigint;
