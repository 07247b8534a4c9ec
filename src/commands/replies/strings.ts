import type { Reply } from "../../protocol/reply.ts";

/** Replies to commands about any key, about strings, bitmaps and HyperLogLogs. */
export interface StringReplies {
  // Keys
  COPY: 0 | 1;
  DEL: number;
  DUMP: string | null;
  EXISTS: number;
  EXPIRE: 0 | 1;
  EXPIREAT: 0 | 1;
  EXPIRETIME: number;
  KEYS: string[];
  MIGRATE: "OK" | "NOKEY";
  MOVE: 0 | 1;
  "OBJECT ENCODING": string | null;
  "OBJECT FREQ": number | null;
  "OBJECT HELP": string[];
  "OBJECT IDLETIME": number | null;
  "OBJECT REFCOUNT": number | null;
  PERSIST: 0 | 1;
  PEXPIRE: 0 | 1;
  PEXPIREAT: 0 | 1;
  PEXPIRETIME: number;
  PTTL: number;
  RANDOMKEY: string | null;
  RENAME: "OK";
  RENAMENX: 0 | 1;
  RESTORE: "OK";
  "RESTORE-ASKING": "OK";
  /** By `node(address).command`. */
  SCAN: ScannedKeys;
  /** Valkey 9.1 */
  CLUSTERSCAN: ScannedKeys;
  /** With STORE, the number of elements. */
  SORT: (string | null)[] | number;
  SORT_RO: (string | null)[];
  TOUCH: number;
  TTL: number;
  TYPE: string;
  UNLINK: number;
  WAIT: number;

  // Strings
  APPEND: number;
  DECR: number;
  DECRBY: number;
  /** Redis 8.4 */
  DELEX: 0 | 1;
  /** Valkey 9 */
  DELIFEQ: 0 | 1;
  /** Redis 8.4 */
  DIGEST: string | null;
  GET: string | null;
  GETDEL: string | null;
  GETEX: string | null;
  GETRANGE: string;
  GETSET: string | null;
  INCR: number;
  INCRBY: number;
  INCRBYFLOAT: string;
  /** With LEN the length, with IDX the matches. */
  LCS: string | number | ["matches", CommonRange[], "len", number];
  MGET: (string | null)[];
  MSET: "OK";
  /** Redis 8.4 */
  MSETEX: 0 | 1;
  MSETNX: 0 | 1;
  PSETEX: "OK";
  /** "OK"; with GET the value before; null where NX, XX and so on did not let it be set. */
  SET: string | null;
  SETEX: "OK";
  SETNX: 0 | 1;
  SETRANGE: number;
  /** Before Redis 7.0 in place of LCS. */
  STRALGO: string | number | ["matches", CommonRange[], "len", number];
  STRLEN: number;
  SUBSTR: string;

  // Bitmaps
  BITCOUNT: number;
  /** Null where OVERFLOW FAIL did not let it be changed. */
  BITFIELD: (number | null)[];
  BITFIELD_RO: number[];
  BITOP: number;
  BITPOS: number;
  GETBIT: 0 | 1;
  SETBIT: 0 | 1;

  // HyperLogLogs
  PFADD: 0 | 1;
  PFCOUNT: number;
  PFDEBUG: Reply;
  PFMERGE: "OK";
  PFSELFTEST: "OK";
}

type ScannedKeys = [cursor: string, keys: string[]];

/** The range in the first key, the range in the second, and their length with WITHMATCHLEN. */
type CommonRange = [first: [from: number, to: number], second: [from: number, to: number], length?: number];
