import type { Reply } from "../../protocol/reply.ts";

/** Replies to commands about streams, messages, scripts and functions. */
export interface StreamReplies {
  // Streams
  XACK: number;
  XACKDEL: number[];
  /** Null with NOMKSTREAM, where there is no stream. */
  XADD: string | null;
  /** With JUSTID ids alone. The ids of deleted entries come from Redis 7.0 on; before it null stands in their places. */
  XAUTOCLAIM: [next: string, claimed: (StreamEntry | null)[] | string[], deleted?: string[]];
  /** Redis 8.6 */
  XCFGSET: "OK";
  /** With JUSTID ids alone. Before Redis 7.0 null stands in the place of a deleted entry. */
  XCLAIM: (StreamEntry | null)[] | string[];
  XDEL: number;
  XDELEX: number[];
  "XGROUP CREATE": "OK";
  "XGROUP CREATECONSUMER": 0 | 1;
  "XGROUP DELCONSUMER": number;
  "XGROUP DESTROY": 0 | 1;
  "XGROUP HELP": string[];
  "XGROUP SETID": "OK";
  /** Redis 8.6 */
  XIDMPRECORD: "OK";
  /** For each consumer names and values in turn. */
  "XINFO CONSUMERS": (string | number)[][];
  /** For each group names and values in turn. */
  "XINFO GROUPS": (string | number | null)[][];
  "XINFO HELP": string[];
  /** Names and values in turn; with FULL the groups have names and values as well. */
  "XINFO STREAM": (string | number | null | StreamEntry | StreamEntry[] | GroupDetails[])[];
  XLEN: number;
  /** A summary, or, with a range, one array for each entry. */
  XPENDING: PendingSummary | [id: string, consumer: string, idleMs: number, deliveries: number][];
  XRANGE: StreamEntry[];
  XREAD: [key: string, entries: StreamEntry[]][] | null;
  /** Null in the place of the fields of an entry that has been deleted. */
  XREADGROUP: [key: string, entries: DeliveredEntry[]][] | null;
  XREVRANGE: StreamEntry[];
  XSETID: "OK";
  XTRIM: number;

  // Messages
  PUBLISH: number;
  "PUBSUB CHANNELS": string[];
  "PUBSUB HELP": string[];
  "PUBSUB NUMPAT": number;
  /** Channels and numbers in turn. */
  "PUBSUB NUMSUB": (string | number)[];
  "PUBSUB SHARDCHANNELS": string[];
  "PUBSUB SHARDNUMSUB": (string | number)[];
  SPUBLISH: number;
  PSUBSCRIBE: never;
  PUNSUBSCRIBE: never;
  SSUBSCRIBE: never;
  SUBSCRIBE: never;
  SUNSUBSCRIBE: never;
  UNSUBSCRIBE: never;

  // Scripts and functions
  EVAL: Reply;
  EVALSHA: Reply;
  EVALSHA_RO: Reply;
  EVAL_RO: Reply;
  FCALL: Reply;
  FCALL_RO: Reply;
  "FUNCTION DELETE": "OK";
  "FUNCTION DUMP": string;
  "FUNCTION FLUSH": "OK";
  "FUNCTION HELP": string[];
  "FUNCTION KILL": "OK";
  /** For each library names and values in turn; so for each of its functions. */
  "FUNCTION LIST": (string | (string | string[] | null)[][])[][];
  "FUNCTION LOAD": string;
  "FUNCTION RESTORE": "OK";
  /** Names and values in turn. */
  "FUNCTION STATS": (string | null | (string | number | string[])[] | (string | (string | number)[])[])[];
  "SCRIPT DEBUG": never;
  "SCRIPT EXISTS": (0 | 1)[];
  "SCRIPT FLUSH": "OK";
  "SCRIPT HELP": string[];
  "SCRIPT KILL": "OK";
  "SCRIPT LOAD": string;
  /** Valkey 8 */
  "SCRIPT SHOW": string;

  // Transactions: use transaction().
  DISCARD: never;
  EXEC: never;
  MULTI: never;
  UNWATCH: never;
  WATCH: never;
}

/** An entry: its id, and its fields and values in turn. */
type StreamEntry = [id: string, fields: string[]];
/** As `StreamEntry`; with CLAIM of XREADGROUP also how long it was idle, and how often it was delivered. */
type DeliveredEntry = [id: string, fields: string[] | null, idleMs?: number, deliveries?: number];
type PendingSummary = [
  count: number,
  first: string | null,
  last: string | null,
  consumers: [name: string, count: string][] | null,
];
type GroupDetails = (string | number | null | Details[])[];
/** A pending entry; or a consumer, of whose names and values one is its pending entries. */
type Details = (string | number | (string | number)[][])[];
