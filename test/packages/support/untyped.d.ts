// What the tests use of packages that have no types of their own.

declare module "redlock" {
  interface Lock {
    readonly expiration: number;
    extend(ttl: number): Promise<Lock>;
    unlock(): Promise<void>;
  }
  export default class Redlock {
    constructor(clients: readonly unknown[], options?: object);
    on(event: string, listener: (error: unknown) => void): this;
    lock(resource: string | readonly string[], ttl: number): Promise<Lock>;
  }
}

declare module "redis-gcra" {
  interface Limit {
    readonly limited: boolean;
    readonly remaining: number;
  }
  export default function redisGcra(options: object): {
    limit(options: { key: string }): Promise<Limit>;
    peek(options: { key: string }): Promise<Limit>;
    reset(options: { key: string }): Promise<boolean>;
  };
}
