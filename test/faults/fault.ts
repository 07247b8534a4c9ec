/** What a fault showed: in words, and whether it is what must show. */
export interface Finding {
  readonly seen: string;
  readonly ok: boolean;
}

/** A fault that is caused on real servers, and what the client must show under it. */
export interface Fault {
  readonly name: string;
  readonly must: string;
  cause(): Promise<Finding>;
}

/** A finding out of single checks: all must hold. */
export function finding(checks: Readonly<Record<string, readonly [value: unknown, holds: boolean]>>): Finding {
  const entries = Object.entries(checks);
  return {
    seen: entries.map(([name, [value, holds]]) => `${name} ${String(value)}${holds ? "" : " (!)"}`).join(", "),
    ok: entries.every(([, [, holds]]) => holds),
  };
}
