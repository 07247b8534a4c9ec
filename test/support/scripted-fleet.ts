import { createHash } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";

/*
 * Scripted nodes of one cluster, all in this process, for `bench/nodes.ts`. The parent sends { count, dead }: so many
 * nodes are announced, and the last `dead` of them listen nowhere. The slots are spread one by one, so that there are as
 * many ranges as slots.
 */

const SLOT_COUNT = 16_384;
/** Nobody listens on these ports. */
const DEAD_HOSTS = (index: number) => `127.1.${index >> 8}.${index & 255}`;

interface Node {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const array = (items: readonly string[]) => `*${items.length}\r\n${items.join("")}`;
const shas = new Map<string, string>();
let shards = "";

// A parent that was killed could not end it.
process.on("disconnect", () => process.exit());
process.on("message", ({ count, dead, ranges }: { count: number; dead: number; ranges: number }) => {
  void begin(count, dead, ranges);
});

async function begin(count: number, dead: number, ranges: number): Promise<void> {
  const nodes: Node[] = [];
  for (let index = 0; index < count; index++) {
    const id = index.toString(16).padStart(40, "0");
    if (index >= count - dead) nodes.push({ id, host: DEAD_HOSTS(index), port: 1 });
    else nodes.push({ id, host: "127.0.0.1", port: await listen(id) });
  }
  const width = SLOT_COUNT / ranges;
  shards = array(
    nodes.map(({ id, host, port }, index) => {
      const slots: string[] = [];
      for (let range = index; range < ranges; range += count) {
        slots.push(`:${Math.floor(range * width)}\r\n`, `:${Math.floor((range + 1) * width) - 1}\r\n`);
      }
      const fields = ["id", id, "ip", host, "endpoint", host, "role", "master", "health", "online"].map(bulk);
      const entry = array([...fields, bulk("port"), `:${port}\r\n`, bulk("replication-offset"), ":1\r\n"]);
      return array([bulk("slots"), array(slots), bulk("nodes"), array([entry])]);
    }),
  );
  process.send?.({ seed: `127.0.0.1:${nodes[0]?.port}` });
}

async function listen(id: string): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => serve(socket, id));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function serve(socket: Socket, id: string): void {
  let rest = "";
  socket.on("error", () => {});
  socket.on("data", (bytes) => {
    rest += bytes.toString("latin1");
    let replies = "";
    let at = 0;
    for (;;) {
      const parsed = commandAt(rest, at);
      if (parsed === undefined) break;
      at = parsed.end;
      replies += replyTo(parsed.args, id);
    }
    rest = rest.slice(at);
    if (replies !== "") socket.write(replies, "latin1");
  });
}

function replyTo(args: readonly string[], id: string): string {
  const [name = "", subcommand = "", source = ""] = args;
  switch (`${name} ${subcommand}`.toUpperCase()) {
    case "CLUSTER SHARDS":
      return shards;
    case "CLUSTER MYID":
      return bulk(id);
    case "CLUSTER INFO":
      return bulk("cluster_state:ok\r\n");
    case "SCRIPT EXISTS":
      return array(args.slice(2).map(() => ":0\r\n"));
    case "SCRIPT LOAD":
      return bulk(shaOf(source));
    default:
      return name === "PING" ? "+PONG\r\n" : "+OK\r\n";
  }
}

function shaOf(source: string): string {
  let sha = shas.get(source);
  if (sha === undefined) {
    sha = createHash("sha1").update(source, "latin1").digest("hex");
    shas.set(source, sha);
  }
  return sha;
}

function commandAt(bytes: string, from: number): { args: string[]; end: number } | undefined {
  let end = bytes.indexOf("\r\n", from);
  if (end === -1) return undefined;
  const count = Number(bytes.slice(from + 1, end));
  const args: string[] = [];
  let at = end + 2;
  for (let index = 0; index < count; index++) {
    end = bytes.indexOf("\r\n", at);
    if (end === -1) return undefined;
    const length = Number(bytes.slice(at + 1, end));
    if (bytes.length < end + 4 + length) return undefined;
    args.push(bytes.slice(end + 2, end + 2 + length));
    at = end + 4 + length;
  }
  return { args, end: at };
}
