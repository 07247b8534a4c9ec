import type { ConnectionSettings } from "../../src/connection/connection.ts";
import type { FakeWire } from "./fake-wire.ts";

/** Settings for connections over `wire`, without credentials. */
export function settingsOn(wire: FakeWire, changes: Partial<ConnectionSettings> = {}): ConnectionSettings {
  return {
    address: "127.0.0.1:7000",
    endpoint: { host: "127.0.0.1", port: 7000 },
    environment: wire.environment,
    connectTimeoutMs: 2000,
    connectionName: undefined,
    readOnly: false,
    credentials: () => undefined,
    ...changes,
  };
}
