/**
 * What an error reply proves. Everything but `other` proves that the command did not run, and is recognised by the
 * exact wording of a known server: scripts can return any error they like, so a prefix proves nothing.
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
  /** The same from the middle of code that has run until then: proves nothing, and is news of the topology. */
  | "readonly-within"
  /** It waited, and its node became a replica meanwhile. */
  | "unblocked"
  | "noperm"
  /** FCALL of what the server does not have. */
  | "no-function"
  /** The server is older than functions. */
  | "no-functions"
  /** The server is older than EVALSHA_RO and EVAL_RO. */
  | "no-read-only-variant"
  /** A check before execution said no. Only to be believed of a command that runs no code: a script can say the same. */
  | "declined"
  | "other";

const PRODUCTS = ["Redis", "Valkey"];
const READ_ONLY_REPLICA = "READONLY You can't write against a read only replica.";

/** The whole texts, by server. Redis 6.0, 7.0, 8.0 and Valkey 8.0, 8.1, 9 were looked at. */
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
  ...PRODUCTS.flatMap((product): [string, RefusalKind][] => [
    [`LOADING ${product} is loading the dataset in memory`, "loading"],
    [`BUSY ${product} is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.`, "busy"],
    [`BUSY ${product} is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.`, "busy"],
    [`BUSY ${product} is busy running a module command.`, "busy"],
  ]),
]);

const REDIRECTION = /^(MOVED|ASK) (0|[1-9]\d{0,4}) (\S*):([1-9]\d{0,4})$/;
// As Redis 7, Valkey and then Redis 6 go on behind the words. Nothing is sent again for it, so a beginning is enough.
const READ_ONLY_WITHIN =
  /^READONLY You can't write against a read only replica\. script: |^ERR Error running script \(call to f_[0-9a-f]*\): @user_script:\d+: @user_script: \d+: -READONLY /;
// Whole texts again, of Redis 6, 7 and then Redis 8 and Valkey: inside a script the same words go on with the script's SHA-1.
const NO_PERMISSION = [
  /^NOPERM (this user|User \S+) has no permissions to run the '[^']*' command( or its subcommand)?$/,
  /^NOPERM (this user has no permissions to access one of the keys used as arguments|No permissions to access a key)$/,
  /^NOPERM User \S+ has no permissions to access the '.*' key$/s,
];
// What servers say to a plain command without having run it. It is not sent again for that, so a beginning is enough.
const DECLINED =
  /^(OOM|MISCONF|NOREPLICAS|NOAUTH) |^ERR (unknown (sub)?command|Unknown subcommand|wrong number of arguments)|^ERR This instance has cluster support disabled$|^EXECABORT Transaction discarded because of previous errors\.$/;
const NO_READ_ONLY_VARIANT = /^ERR unknown command [`']EVAL(SHA)?_RO[`']/;
const NO_FUNCTIONS = /^ERR unknown command [`']FCALL(_RO)?[`']/;
const EXEC_ABORT = "EXECABORT Transaction discarded because of: ";

/** Reads an error reply. `text` is as the server sent it, without the leading `-`. */
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
  // A transaction that was discarded whole, because a command in it was refused: the inner refusal is what counts.
  const inner = text.startsWith(EXEC_ABORT) ? text.slice(EXEC_ABORT.length) : undefined;
  if (inner !== undefined && !inner.startsWith(EXEC_ABORT)) return parseErrorReply(inner);
  if (READ_ONLY_WITHIN.test(text)) return { kind: "readonly-within" };
  if (NO_PERMISSION.some((wording) => wording.test(text))) return { kind: "noperm" };
  if (NO_READ_ONLY_VARIANT.test(text)) return { kind: "no-read-only-variant" };
  if (NO_FUNCTIONS.test(text)) return { kind: "no-functions" };
  return { kind: DECLINED.test(text) ? "declined" : "other" };
}

/** Not logged in, or not with these credentials. */
export function isAuthFailure(text: string): boolean {
  return (
    /^(NOAUTH|WRONGPASS) /.test(text) ||
    text === "ERR invalid password" ||
    text.startsWith("ERR AUTH <password> called without any password configured") ||
    text.startsWith("ERR Client sent AUTH, but no password is set")
  );
}

/** The server is there, but has no cluster mode. */
export const CLUSTER_DISABLED = "ERR This instance has cluster support disabled";

/** The server does not know the command or subcommand (an older one). */
export function isUnknownCommand(text: string): boolean {
  return /^ERR (unknown (sub)?command|Unknown subcommand)/i.test(text);
}
