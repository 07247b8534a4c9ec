/** Replies to commands about hashes, lists, sets, sorted sets, positions and vectors. */
export interface CollectionReplies {
  // Hashes
  HDEL: number;
  HEXISTS: 0 | 1;
  /** For each field -2 (no such field), 0 (a condition did not hold), 1 (done) or 2 (the time is past: deleted). */
  HEXPIRE: number[];
  HEXPIREAT: number[];
  HEXPIRETIME: number[];
  HGET: string | null;
  /** Fields and values in turn. */
  HGETALL: string[];
  HGETDEL: (string | null)[];
  HGETEX: (string | null)[];
  HINCRBY: number;
  HINCRBYFLOAT: string;
  HKEYS: string[];
  HLEN: number;
  HMGET: (string | null)[];
  HMSET: "OK";
  HPERSIST: number[];
  HPEXPIRE: number[];
  HPEXPIREAT: number[];
  HPEXPIRETIME: number[];
  HPTTL: number[];
  /** With a count an array; with WITHVALUES fields and values in turn. */
  HRANDFIELD: string | string[] | null;
  HSCAN: Scanned;
  HSET: number;
  HSETEX: 0 | 1;
  HSETNX: 0 | 1;
  HSTRLEN: number;
  HTTL: number[];
  HVALS: string[];

  // Lists
  BLMOVE: string | null;
  BLMPOP: [key: string, elements: string[]] | null;
  BLPOP: [key: string, element: string] | null;
  BRPOP: [key: string, element: string] | null;
  BRPOPLPUSH: string | null;
  LINDEX: string | null;
  LINSERT: number;
  LLEN: number;
  LMOVE: string | null;
  LMPOP: [key: string, elements: string[]] | null;
  /** With a count an array. */
  LPOP: string | string[] | null;
  /** With COUNT an array. */
  LPOS: number | number[] | null;
  LPUSH: number;
  LPUSHX: number;
  LRANGE: string[];
  LREM: number;
  LSET: "OK";
  LTRIM: "OK";
  /** With a count an array. */
  RPOP: string | string[] | null;
  RPOPLPUSH: string | null;
  RPUSH: number;
  RPUSHX: number;

  // Sets
  SADD: number;
  SCARD: number;
  SDIFF: string[];
  SDIFFSTORE: number;
  SINTER: string[];
  SINTERCARD: number;
  SINTERSTORE: number;
  SISMEMBER: 0 | 1;
  SMEMBERS: string[];
  SMISMEMBER: (0 | 1)[];
  SMOVE: 0 | 1;
  /** With a count an array. */
  SPOP: string | string[] | null;
  /** With a count an array. */
  SRANDMEMBER: string | string[] | null;
  SREM: number;
  SSCAN: Scanned;
  SUNION: string[];
  SUNIONSTORE: number;

  // Sorted sets: a score is text. With WITHSCORES members and scores come in turn.
  BZMPOP: [key: string, elements: Scored[]] | null;
  BZPOPMAX: [key: string, member: string, score: string] | null;
  BZPOPMIN: [key: string, member: string, score: string] | null;
  /** With INCR the new score, or null where NX, XX, GT or LT did not let it be set. */
  ZADD: number | string | null;
  ZCARD: number;
  ZCOUNT: number;
  ZDIFF: string[];
  ZDIFFSTORE: number;
  ZINCRBY: string;
  ZINTER: string[];
  ZINTERCARD: number;
  ZINTERSTORE: number;
  ZLEXCOUNT: number;
  ZMPOP: [key: string, elements: Scored[]] | null;
  ZMSCORE: (string | null)[];
  /** Members and scores in turn. */
  ZPOPMAX: string[];
  /** Members and scores in turn. */
  ZPOPMIN: string[];
  /** With a count an array. */
  ZRANDMEMBER: string | string[] | null;
  ZRANGE: string[];
  ZRANGEBYLEX: string[];
  ZRANGEBYSCORE: string[];
  ZRANGESTORE: number;
  /** With WITHSCORE an array. */
  ZRANK: number | [rank: number, score: string] | null;
  ZREM: number;
  ZREMRANGEBYLEX: number;
  ZREMRANGEBYRANK: number;
  ZREMRANGEBYSCORE: number;
  ZREVRANGE: string[];
  ZREVRANGEBYLEX: string[];
  ZREVRANGEBYSCORE: string[];
  /** With WITHSCORE an array. */
  ZREVRANK: number | [rank: number, score: string] | null;
  ZSCAN: Scanned;
  ZSCORE: string | null;
  ZUNION: string[];
  ZUNIONSTORE: number;

  // Positions: distances and coordinates are text.
  GEOADD: number;
  GEODIST: string | null;
  GEOHASH: (string | null)[];
  GEOPOS: (Coordinates | null)[];
  /** With WITHDIST and so on arrays; with STORE the number of members. */
  GEORADIUS: string[] | Located[] | number;
  GEORADIUSBYMEMBER: string[] | Located[] | number;
  GEORADIUSBYMEMBER_RO: string[] | Located[];
  GEORADIUS_RO: string[] | Located[];
  /** With WITHDIST, WITHHASH or WITHCOORD arrays. */
  GEOSEARCH: string[] | Located[];
  GEOSEARCHSTORE: number;

  // Vectors (Redis 8): numbers with fractions are text.
  VADD: 0 | 1;
  VCARD: number;
  VDIM: number;
  /** With RAW the quantisation, the bytes, the norm and the range. */
  VEMB: string[] | null;
  VGETATTR: string | null;
  /** Names and values in turn. */
  VINFO: (string | number)[] | null;
  VISMEMBER: 0 | 1;
  /** For each level the neighbours; with WITHSCORES neighbours and scores in turn. */
  VLINKS: string[][] | null;
  /** With a count an array. */
  VRANDMEMBER: string | string[] | null;
  VRANGE: string[];
  VREM: 0 | 1;
  VSETATTR: 0 | 1;
  /** With WITHSCORES and WITHATTRIBS members, scores and attributes in turn. */
  VSIM: (string | null)[];
}

type Scanned = [cursor: string, elements: string[]];
type Scored = [member: string, score: string];
type Coordinates = [longitude: string, latitude: string];
/** The member, then what was asked for, in this order: distance, hash, coordinates. */
type Located = [member: string, ...details: (string | number | Coordinates)[]];
