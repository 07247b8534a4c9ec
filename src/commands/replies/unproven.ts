import type { Reply } from "../../protocol/reply.ts";

/**
 * Replies to the commands of modules that Redis 8 brings along, and of versions after Redis 8.6 and Valkey 9.1. They are from
 * the servers' descriptions: no server that knows these commands was there to hold them against.
 */
export interface UnprovenReplies {
  // JSON: with a path of `$` an array, with an older path the value itself.
  "JSON.ARRAPPEND": EachNumber;
  "JSON.ARRINDEX": EachNumber;
  "JSON.ARRINSERT": EachNumber;
  "JSON.ARRLEN": EachNumber;
  "JSON.ARRPOP": EachString;
  "JSON.ARRTRIM": EachNumber;
  "JSON.CLEAR": number;
  "JSON.DEL": number;
  "JSON.FORGET": number;
  "JSON.GET": string | null;
  "JSON.MERGE": "OK";
  "JSON.MGET": (string | null)[];
  "JSON.MSET": "OK";
  "JSON.NUMINCRBY": string | null;
  "JSON.NUMMULTBY": string | null;
  "JSON.OBJKEYS": (string[] | null)[] | string[] | null;
  "JSON.OBJLEN": EachNumber;
  "JSON.RESP": Reply;
  "JSON.SET": "OK" | null;
  "JSON.STRAPPEND": EachNumber;
  "JSON.STRLEN": EachNumber;
  "JSON.TOGGLE": EachNumber | string;
  "JSON.TYPE": EachString;

  // Bloom and cuckoo filters, sketches, top k and t-digests. In arrays, an element may be an error.
  "BF.ADD": 0 | 1;
  "BF.CARD": number;
  "BF.EXISTS": 0 | 1;
  "BF.INFO": (string | number | null)[];
  "BF.INSERT": (0 | 1)[];
  "BF.LOADCHUNK": "OK";
  "BF.MADD": (0 | 1)[];
  "BF.MEXISTS": (0 | 1)[];
  "BF.RESERVE": "OK";
  "BF.SCANDUMP": [iterator: number, data: string | null];
  "CF.ADD": 0 | 1;
  "CF.ADDNX": 0 | 1;
  "CF.COUNT": number;
  "CF.DEL": 0 | 1;
  "CF.EXISTS": 0 | 1;
  "CF.INFO": (string | number)[];
  "CF.INSERT": number[];
  "CF.INSERTNX": number[];
  "CF.LOADCHUNK": "OK";
  "CF.MEXISTS": (0 | 1)[];
  "CF.RESERVE": "OK";
  "CF.SCANDUMP": [iterator: number, data: string | null];
  "CMS.INCRBY": number[];
  "CMS.INFO": (string | number)[];
  "CMS.INITBYDIM": "OK";
  "CMS.INITBYPROB": "OK";
  "CMS.MERGE": "OK";
  "CMS.QUERY": number[];
  "TOPK.ADD": (string | null)[];
  "TOPK.COUNT": number[];
  "TOPK.INCRBY": (string | null)[];
  "TOPK.INFO": (string | number)[];
  "TOPK.LIST": (string | number)[];
  "TOPK.QUERY": (0 | 1)[];
  "TOPK.RESERVE": "OK";
  "TDIGEST.ADD": "OK";
  "TDIGEST.BYRANK": string[];
  "TDIGEST.BYREVRANK": string[];
  "TDIGEST.CDF": string[];
  "TDIGEST.CREATE": "OK";
  "TDIGEST.INFO": (string | number)[];
  "TDIGEST.MAX": string;
  "TDIGEST.MERGE": "OK";
  "TDIGEST.MIN": string;
  "TDIGEST.QUANTILE": string[];
  "TDIGEST.RANK": number[];
  "TDIGEST.RESET": "OK";
  "TDIGEST.REVRANK": number[];
  "TDIGEST.TRIMMED_MEAN": string;

  // Time series: a value is text.
  "TS.ADD": number;
  "TS.ALTER": "OK";
  "TS.CREATE": "OK";
  "TS.CREATERULE": "OK";
  "TS.DECRBY": number;
  "TS.DEL": number;
  "TS.DELETERULE": "OK";
  "TS.GET": Sample | [];
  "TS.INCRBY": number;
  "TS.INFO": Reply[];
  "TS.MADD": Reply[];
  "TS.MGET": [key: string, labels: Label[], sample: Sample | []][];
  "TS.MRANGE": [key: string, labels: Label[], samples: Sample[]][];
  "TS.MREVRANGE": [key: string, labels: Label[], samples: Sample[]][];
  "TS.QUERYINDEX": string[];
  "TS.RANGE": Sample[];
  "TS.REVRANGE": Sample[];

  // Search: most replies depend on the index and on the options.
  "FT.AGGREGATE": Reply[];
  "FT.ALIASADD": "OK";
  "FT.ALIASDEL": "OK";
  "FT.ALIASUPDATE": "OK";
  "FT.ALTER": "OK";
  "FT.CREATE": "OK";
  "FT.CURSOR": Reply;
  "FT.DICTADD": number;
  "FT.DICTDEL": number;
  "FT.DICTDUMP": string[];
  "FT.DROPINDEX": "OK";
  "FT.EXPLAIN": string;
  "FT.EXPLAINCLI": string[];
  "FT.HYBRID": Reply[];
  "FT.INFO": Reply[];
  "FT.PROFILE": Reply[];
  "FT.SEARCH": Reply[];
  "FT.SPELLCHECK": Reply[];
  "FT.SUGADD": number;
  "FT.SUGDEL": 0 | 1;
  "FT.SUGGET": (string | null)[] | null;
  "FT.SUGLEN": number;
  "FT.SYNDUMP": (string | string[])[];
  "FT.SYNUPDATE": "OK";
  "FT.TAGVALS": string[];
  "FT._LIST": string[];

  // Redis 8.8 and later
  ARCOUNT: number;
  ARDEL: number;
  ARDELRANGE: number;
  ARGET: string | null;
  ARGETRANGE: (string | null)[];
  ARGREP: (string | number | Indexed)[];
  ARINFO: (string | number)[];
  ARINSERT: number;
  ARLASTITEMS: (string | null)[];
  ARLEN: number;
  ARMGET: (string | null)[];
  ARMSET: number;
  ARNEXT: number | null;
  AROP: string | number | null;
  ARRING: number;
  ARSCAN: (string | number | Indexed)[];
  ARSEEK: 0 | 1;
  ARSET: number;
  BLMOVEM: string[] | null;
  INCREX: [value: number, increment: number] | [value: string, increment: string];
  LMOVEM: string[] | null;
  SDIFFCARD: number;
  SUNIONCARD: number;
  XNACK: number;
}

type EachNumber = (number | null)[] | number | null;
type EachString = (string | null)[] | string | null;
type Sample = [timestamp: number, value: string];
type Label = [name: string, value: string | null];
type Indexed = [index: number, value: string];
