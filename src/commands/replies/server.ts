import type { Reply } from "../../protocol/reply.ts";

/** Replies to commands about the server and the connection. `never`: `command` refuses it. */
export interface ServerReplies {
  "ACL CAT": string[];
  "ACL DELUSER": number;
  "ACL DRYRUN": string;
  "ACL GENPASS": string;
  /** Names and values in turn. */
  "ACL GETUSER": (string | string[] | string[][])[] | null;
  "ACL HELP": string[];
  "ACL LIST": string[];
  "ACL LOAD": "OK";
  /** For each entry names and values in turn; with RESET "OK". */
  "ACL LOG": (string | number)[][] | "OK";
  "ACL SAVE": "OK";
  "ACL SETUSER": "OK";
  "ACL USERS": string[];
  "ACL WHOAMI": string;
  BGREWRITEAOF: string;
  BGSAVE: string;
  "COMMAND COUNT": number;
  /** Names and values in turn. */
  "COMMAND DOCS": Reply[];
  "COMMAND GETKEYS": string[];
  "COMMAND GETKEYSANDFLAGS": [key: string, flags: string[]][];
  "COMMAND HELP": string[];
  "COMMAND INFO": (CommandDescription | null)[];
  "COMMAND LIST": string[];
  /** Of no subcommand. */
  COMMAND: CommandDescription[];
  /** Valkey 8.1 */
  "COMMANDLOG GET": SlowCommand[];
  "COMMANDLOG HELP": string[];
  "COMMANDLOG LEN": number;
  "COMMANDLOG RESET": "OK";
  /** Names and values in turn. */
  "CONFIG GET": string[];
  "CONFIG HELP": string[];
  "CONFIG RESETSTAT": "OK";
  "CONFIG REWRITE": "OK";
  "CONFIG SET": "OK";
  DBSIZE: number;
  DEBUG: Reply;
  FAILOVER: "OK";
  FLUSHALL: "OK";
  FLUSHDB: "OK";
  /** Redis 8.6 */
  "HOTKEYS GET": Reply;
  "HOTKEYS HELP": string[];
  "HOTKEYS RESET": "OK";
  "HOTKEYS START": "OK";
  "HOTKEYS STOP": "OK" | null;
  INFO: string;
  LASTSAVE: number;
  "LATENCY DOCTOR": string;
  "LATENCY GRAPH": string;
  "LATENCY HELP": string[];
  /** Commands and histograms in turn; a histogram is names and values in turn. */
  "LATENCY HISTOGRAM": (string | (string | number | number[])[])[];
  "LATENCY HISTORY": [second: number, milliseconds: number][];
  /** The latest and the longest time in milliseconds; from Valkey 8.1 on also their sum and number. */
  "LATENCY LATEST": [event: string, second: number, latest: number, longest: number, sum?: number, count?: number][];
  "LATENCY RESET": number;
  LOLWUT: string;
  "MEMORY DOCTOR": string;
  "MEMORY HELP": string[];
  "MEMORY MALLOC-STATS": string;
  "MEMORY PURGE": "OK";
  /** Names and values in turn. */
  "MEMORY STATS": (string | number | (string | number)[])[];
  "MEMORY USAGE": number | null;
  "MODULE HELP": string[];
  /** For each module names and values in turn. */
  "MODULE LIST": (string | number | string[])[][];
  "MODULE LOAD": "OK";
  "MODULE LOADEX": "OK";
  "MODULE UNLOAD": "OK";
  REPLICAOF: "OK";
  ROLE: PrimaryRole | ReplicaRole;
  SAVE: "OK";
  SHUTDOWN: "OK";
  SLAVEOF: "OK";
  "SLOWLOG GET": SlowCommand[];
  "SLOWLOG HELP": string[];
  "SLOWLOG LEN": number;
  "SLOWLOG RESET": "OK";
  SWAPDB: "OK";
  TIME: [seconds: string, microseconds: string];
  MONITOR: never;
  PSYNC: never;
  REPLCONF: never;
  SYNC: never;
  WAITAOF: never;

  // Connections
  AUTH: never;
  "CLIENT CACHING": never;
  "CLIENT CAPA": never;
  "CLIENT GETNAME": string | null;
  "CLIENT GETREDIR": number;
  "CLIENT HELP": string[];
  "CLIENT ID": number;
  "CLIENT IMPORT-SOURCE": never;
  "CLIENT INFO": string;
  /** With filters the number of clients. */
  "CLIENT KILL": "OK" | number;
  "CLIENT LIST": string;
  "CLIENT NO-EVICT": never;
  "CLIENT NO-TOUCH": never;
  "CLIENT PAUSE": "OK";
  "CLIENT REPLY": never;
  "CLIENT SETINFO": "OK";
  "CLIENT SETNAME": "OK";
  "CLIENT TRACKING": never;
  /** Names and values in turn. */
  "CLIENT TRACKINGINFO": (string | number | string[])[];
  "CLIENT UNBLOCK": 0 | 1;
  "CLIENT UNPAUSE": "OK";
  ECHO: string;
  HELLO: never;
  PING: string;
  QUIT: never;
  RESET: never;
  SELECT: never;

  // The cluster
  ASKING: never;
  "CLUSTER ADDSLOTS": "OK";
  "CLUSTER ADDSLOTSRANGE": "OK";
  "CLUSTER BUMPEPOCH": string;
  "CLUSTER CANCELSLOTMIGRATIONS": "OK";
  "CLUSTER COUNT-FAILURE-REPORTS": number;
  "CLUSTER COUNTKEYSINSLOT": number;
  "CLUSTER DELSLOTS": "OK";
  "CLUSTER DELSLOTSRANGE": "OK";
  "CLUSTER FAILOVER": "OK";
  "CLUSTER FLUSHSLOT": "OK";
  "CLUSTER FLUSHSLOTS": "OK";
  "CLUSTER FORGET": "OK";
  "CLUSTER GETKEYSINSLOT": string[];
  /** For each migration names and values in turn. */
  "CLUSTER GETSLOTMIGRATIONS": (string | number)[][];
  "CLUSTER HELP": string[];
  "CLUSTER INFO": string;
  "CLUSTER KEYSLOT": number;
  /** For each link names and values in turn. */
  "CLUSTER LINKS": (string | number)[][];
  "CLUSTER MEET": "OK";
  "CLUSTER MIGRATESLOTS": "OK";
  /** Redis 8.4: IMPORT gives the task's id, CANCEL a number, STATUS for each task names and values in turn. */
  "CLUSTER MIGRATION": string | number | (string | number)[][];
  "CLUSTER MYID": string;
  "CLUSTER MYSHARDID": string;
  "CLUSTER NODES": string;
  "CLUSTER REPLICAS": string[];
  "CLUSTER REPLICATE": "OK";
  "CLUSTER RESET": "OK";
  "CLUSTER SAVECONFIG": "OK";
  "CLUSTER SET-CONFIG-EPOCH": "OK";
  "CLUSTER SETSLOT": "OK";
  /** For each shard "slots" and a flat array of ranges, "nodes" and an array of names and values in turn for each. */
  "CLUSTER SHARDS": (string | number[] | (string | number)[][])[][];
  "CLUSTER SLAVES": string[];
  /** For each slot its number, then names and values in turn. */
  "CLUSTER SLOT-STATS": [slot: number, statistics: (string | number)[]][];
  "CLUSTER SLOTS": [from: number, to: number, ...nodes: SlotNode[]][];
  "CLUSTER SYNCSLOTS": never;
  READONLY: never;
  READWRITE: never;
  /** Redis 8.4 */
  TRIMSLOTS: "OK";
}

/** Of COMMAND: from Redis 7.0 on also tips, the specifications of keys, and subcommands. */
type CommandDescription = [
  name: string,
  arity: number,
  flags: string[],
  firstKey: number,
  lastKey: number,
  step: number,
  categories?: string[],
  tips?: string[],
  keys?: Reply[],
  subcommands?: Reply[],
];
type SlowCommand = [
  id: number,
  second: number,
  microseconds: number,
  words: string[],
  client: string,
  clientName: string,
];
type PrimaryRole = ["master", offset: number, replicas: [host: string, port: string, offset: string][]];
type ReplicaRole = ["slave", host: string, port: number, link: string, offset: number];
type SlotNode = [host: string | null, port: number, id: string, metadata?: string[]];
