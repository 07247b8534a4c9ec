/**
 * What an error reply proves. Each kind is recognised by the exact wording of a known server, because a script can
 * return any error text and a prefix therefore proves nothing. Every kind except `other` and `readonly-within` proves
 * that the command did not run; `declined` proves it only for a command that runs no code, and `out-of-memory` for such a
 * command and for code that is checked first.
 */
export type Refusal =
  | { readonly kind: "moved"; readonly slot: number; readonly host: string; readonly port: number }
  | { readonly kind: "ask"; readonly slot: number; readonly host: string; readonly port: number }
  | { readonly kind: RefusalKind };

export type RefusalKind =
  | "noscript"
  | "tryagain"
  | "clusterdown"
  | "loading"
  | "masterdown"
  | "busy"
  | "readonly"
  /**
   * READONLY from the middle of a script or function that has already run in part. It does not prove that nothing ran,
   * but it shows that the topology has changed.
   */
  | "readonly-within"
  /** The command was blocked when its node became a replica. */
  | "unblocked"
  | "noperm"
  /** FCALL named a function that the server does not have. */
  | "no-function"
  /** The server is too old for functions. */
  | "no-functions"
  /** The server does not know EVALSHA or EVAL: the command was renamed, or taken away. */
  | "no-scripts"
  /** The server is too old for EVALSHA_RO and EVAL_RO. */
  | "no-read-only-variant"
  /**
   * A check before execution failed. This is only reliable for a command that runs no code, because a script can return
   * the same text.
   */
  | "declined"
  /**
   * The memory is full. To a function, and to a script that begins with `#!`, servers say so before they run it, and
   * never from its middle. From the middle of any other script the same text comes when the script returns the error of
   * a `redis.pcall`.
   */
  | "out-of-memory"
  | "other";

const PRODUCTS = ["Redis", "Valkey"];
const READ_ONLY_REPLICA = "READONLY You can't write against a read only replica.";

/** Complete error texts, taken from Redis 6.0, 7.0 and 8.0 and Valkey 8.0, 8.1 and 9. */
const WORDINGS: ReadonlyMap<string, RefusalKind> = new Map<string, RefusalKind>([
  ["NOSCRIPT No matching script. Please use EVAL.", "noscript"], // Redis
  ["NOSCRIPT No matching script.", "noscript"], // Valkey
  ["ERR Function not found", "no-function"],
  ["TRYAGAIN Multiple keys request during rehashing of slot", "tryagain"],
  ["CLUSTERDOWN The cluster is down", "clusterdown"],
  ["CLUSTERDOWN The cluster is down and only accepts read commands", "clusterdown"],
  ["CLUSTERDOWN Hash slot not served", "clusterdown"],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "masterdown"],
  [
    "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.",
    "masterdown",
  ],
  [READ_ONLY_REPLICA, "readonly"],
  ["READONLY Can not run script with write flag on readonly replica", "readonly"],
  ["UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", "unblocked"],
  ["UNBLOCKED client unblocked via CLIENT UNBLOCK", "declined"],
  ["OOM command not allowed when used memory > 'maxmemory'.", "out-of-memory"],
  ...PRODUCTS.flatMap((product): [string, RefusalKind][] => [
    [`LOADING ${product} is loading the dataset in memory`, "loading"],
    [`BUSY ${product} is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.`, "busy"],
    [`BUSY ${product} is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.`, "busy"],
    [`BUSY ${product} is busy running a module command.`, "busy"],
  ]),
]);

const REDIRECTION = /^(MOVED|ASK) (0|[1-9]\d{0,4}) (\S*):([1-9]\d{0,4})$/;
// The first pattern is the wording of Redis 7 and Valkey, the second that of Redis 6. Only the beginning of the text is
// compared; that is enough, because this kind never causes a call to be sent again.
const READ_ONLY_WITHIN =
  /^READONLY You can't write against a read only replica\. script: |^ERR Error running script \(call to f_[0-9a-f]*\): @user_script:\d+: @user_script: \d+: -READONLY /;
// Complete texts: Redis 6 and 7 first, then Redis 8 and Valkey. From inside a script the same text continues with the
// script's SHA-1 and therefore does not match.
const NO_PERMISSION = [
  /^NOPERM (this user|User \S+) has no permissions to run the '[^']*' command( or its subcommand)?$/,
  /^NOPERM this user has no permissions to access one of the (keys|channels) used as arguments$/,
  /^NOPERM No permissions to access a (key|channel)$/,
  /^NOPERM User \S+ has no permissions to access the '.*' (key|channel)$/s,
];
// Errors with which a server refuses a plain command before it runs. The beginning of the text is enough, because this
// kind never causes a command to be sent again.
const DECLINED =
  /^(OOM|MISCONF|NOREPLICAS|NOAUTH|NOTBUSY|UNKILLABLE) |^ERR (unknown (sub)?command|Unknown subcommand|wrong number of arguments)|^ERR This instance has cluster support disabled$|^EXECABORT Transaction discarded because of previous errors\.$/;
const NO_READ_ONLY_VARIANT = /^ERR unknown command [`']EVAL(SHA)?_RO[`']/;
const NO_FUNCTIONS = /^ERR unknown command [`']FCALL(_RO)?[`']/;
// The words with which Redis and Valkey quote the arguments belong to it, so that a script cannot come upon it by chance.
const NO_SCRIPTS = /^ERR unknown command [`']EVAL(SHA)?[`'], with args beginning with: /i;
// `script|load` as servers from 7.0 on name it, the container alone, or its subcommand.
const NO_LOADS = /^ERR (?:unknown command:? [`'"]?SCRIPT\b|unknown subcommand [`'"]?LOAD\b)/i;
const EXEC_ABORT = "EXECABORT Transaction discarded because of: ";

/** Classifies an error reply. `text` is the server's text without the leading `-`. */
export function parseErrorReply(text: string): Refusal {
  const known = WORDINGS.get(text);
  if (known !== undefined) return { kind: known };
  const redirection = REDIRECTION.exec(text);
  if (redirection) {
    const [, word, slot, host, port] = redirection as unknown as [string, string, string, string, string];
    if (Number(slot) < 16384 && Number(port) < 65536) {
      return { kind: word === "MOVED" ? "moved" : "ask", slot: Number(slot), host, port: Number(port) };
    }
  }
  // The server discarded the whole transaction because it refused one of the commands. That refusal is the one to
  // classify.
  const inner = text.startsWith(EXEC_ABORT) ? text.slice(EXEC_ABORT.length) : undefined;
  if (inner !== undefined && !inner.startsWith(EXEC_ABORT)) return parseErrorReply(inner);
  if (READ_ONLY_WITHIN.test(text)) return { kind: "readonly-within" };
  if (NO_PERMISSION.some((wording) => wording.test(text))) return { kind: "noperm" };
  if (NO_READ_ONLY_VARIANT.test(text)) return { kind: "no-read-only-variant" };
  if (NO_FUNCTIONS.test(text)) return { kind: "no-functions" };
  if (NO_SCRIPTS.test(text)) return { kind: "no-scripts" };
  return { kind: DECLINED.test(text) ? "declined" : "other" };
}

/** Whether only a replica refuses so: the server that answered is one by now. */
export function isOfReplica({ kind }: Refusal): boolean {
  return kind === "readonly" || kind === "readonly-within" || kind === "unblocked" || kind === "masterdown";
}

/** Whether the error means that the login is missing or that the credentials are wrong. */
export function isAuthFailure(text: string): boolean {
  return (
    /^(NOAUTH|WRONGPASS) /.test(text) ||
    text === "ERR invalid password" ||
    text.startsWith("ERR AUTH <password> called without any password configured") ||
    text.startsWith("ERR Client sent AUTH, but no password is set")
  );
}

/**
 * Whether the server says so unasked, when it has just accepted a connection, and closes the connection then. The words
 * answer no command, even if one was sent by then.
 */
export function isSaidUnasked(text: string): boolean {
  return /^ERR max number of clients (?:\+ cluster connections )?reached$|^DENIED /.test(text);
}

/** Whether the server, usually an older one, does not know the command or the subcommand. */
export function isUnknownCommand(text: string): boolean {
  return /^ERR (unknown (sub)?command|Unknown subcommand)/i.test(text);
}

/** Whether a server refuses every SCRIPT LOAD: the user may not load, or SCRIPT was renamed or is unknown to a proxy. */
export function isLoadDenied(text: string): boolean {
  return text.startsWith("NOPERM ") || NO_LOADS.test(text);
}
