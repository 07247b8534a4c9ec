import { connect as connectTcp, isIP, type NetConnectOpts, type OnReadOpts, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { Endpoint, OpenSocket } from "../environment.ts";
import { guarded } from "./certificates.ts";
import { letGoOf } from "./given-functions.ts";
import { WRITE_BUFFER_BYTES } from "./outgoing.ts";

const READ_BUFFER_BYTES = 64 * 1024;
const KEEP_ALIVE_MS = 15_000;

/** What a stream that is being opened tells. */
export interface StreamEvents {
  /** `bytes` is only valid during the call. */
  onData(bytes: Buffer): void;
  /** An application's function for TLS threw, and has no way to report it. */
  onThrown(error: Error): void;
}

/** A stream to a server that is being opened. */
export interface OpenedStream {
  readonly stream: Duplex;
  /** The event that tells that the stream stands. Undefined for a stream that stands already. */
  readonly opening: "connect" | "secureConnect" | undefined;
  /** Whether the application opened the stream, or the stream beneath TLS. It may stay open after its end. */
  readonly isGiven: boolean;
  /** The application's stream beneath TLS. */
  readonly beneath: Duplex | undefined;
}

/**
 * Opens a TCP or TLS connection, a connection to a socket file, or the stream of an application.
 * @throws {Error} The application's function threw, or returned something else than a stream.
 */
export function openStream(endpoint: Endpoint, events: StreamEvents): OpenedStream {
  const { socket } = endpoint;
  const tls = endpoint.tls && guarded(endpoint.tls, events.onThrown);
  const serverName = endpoint.host === "" || isIP(endpoint.host) !== 0 ? {} : { servername: endpoint.host };
  if (typeof socket !== "function") {
    const options = optionsOf(endpoint, events);
    const stream = tls ? connectTls({ ...serverName, ...tls, ...options }) : connectTcp(options as NetConnectOpts);
    return { stream, opening: tls ? "secureConnect" : "connect", isGiven: false, beneath: undefined };
  }
  const given = streamOf(socket, endpoint);
  const stream = tls ? connectTls({ ...serverName, ...tls, socket: given }) : given;
  stream.on("data", (bytes: Buffer) => events.onData(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes)));
  const isConnecting = (given as Partial<Socket>).connecting === true;
  const opening = tls ? "secureConnect" : isConnecting ? "connect" : undefined;
  return { stream, opening, isGiven: true, beneath: tls ? given : undefined };
}

const newReadBuffer = () => Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
let sharedBuffer: Buffer | undefined;

/**
 * The buffer for the reads of a socket without TLS. libuv asks for it, fills it and hands it on in one step, so all sockets
 * can share it: 1,000 nodes would hold 64 MB otherwise. On Windows a read owns its buffer until data comes.
 */
function readBuffer(): Buffer {
  if (process.platform === "win32") return newReadBuffer();
  sharedBuffer ??= newReadBuffer();
  return sharedBuffer;
}

function optionsOf({ host, port, path, tls, socket }: Endpoint, { onData }: StreamEvents) {
  // One buffer serves many reads, so nobody may keep a reference into it.
  const buffer = tls ? newReadBuffer() : readBuffer();
  const onread: OnReadOpts = {
    buffer,
    callback: (length) => {
      onData(buffer.subarray(0, length));
      return true;
    },
  };
  return {
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    ...(typeof socket === "object" ? socket : {}),
    ...(path === undefined ? { host, port } : { path }),
    onread,
    noDelay: true,
    keepAlive: true,
    writableHighWaterMark: WRITE_BUFFER_BYTES,
  };
}

function streamOf(open: OpenSocket, { host, port, path }: Endpoint): Duplex {
  const stream: Partial<Duplex> | undefined = open(path === undefined ? { host, port } : { host, port, path });
  // A copy of Node's streams from a package has classes of its own.
  if (typeof stream?.write === "function" && typeof stream.destroy === "function") return stream as Duplex;
  letGoOf(stream);
  throw new TypeError("the function `socket` returned no Duplex");
}
