/** What a fault showed: in words, and whether it is what must show. */
export interface Finding {
  readonly seen: string;
  readonly ok: boolean;
}

/** What goes on beside a fault. */
export interface Setting {
  /** A replica of another shard is frozen all the time. */
  readonly frozenReplica: boolean;
}

/** A fault that is caused on real servers, and what the client must show under it. */
export interface Fault {
  readonly name: string;
  readonly must: string;
  cause(setting: Setting): Promise<Finding>;
}

/** The same while a replica that has nothing to do with it is frozen: it must show the same. */
export function besideFrozenReplica({ name, must, cause }: Fault): Fault {
  return {
    name: `${name}+frozen-replica`,
    must: `an unrelated replica is frozen, and: ${must}`,
    cause: () => cause({ frozenReplica: true }),
  };
}

/** A finding out of single checks: all must hold. */
export function finding(checks: Readonly<Record<string, readonly [value: unknown, holds: boolean]>>): Finding {
  const entries = Object.entries(checks);
  return {
    seen: entries.map(([name, [value, holds]]) => `${name} ${String(value)}${holds ? "" : " (!)"}`).join(", "),
    ok: entries.every(([, [, holds]]) => holds),
  };
}

/** A check of something that must not be. */
export function none(count: number): readonly [value: number, holds: boolean] {
  return [count, count === 0];
}

/** A check of milliseconds. */
export function atMost(ms: number, limitMs: number): readonly [value: string, holds: boolean] {
  return [`${ms.toFixed(ms < 10 ? 1 : 0)} ms`, ms <= limitMs];
}
