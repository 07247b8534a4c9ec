import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withoutServers } from "../../src/testing/server-packages.ts";

const entry = (name: string, ...fields: string[]) =>
  [`Package: ${name}`, "Status: install ok installed", "Version: 1", ...fields, ""].join("\n");
const status = (...entries: string[]) => entries.map((each) => `${each}\n`).join("");

describe("packages that a server is unpacked from", () => {
  const libc = entry("libc6", "Depends: libgcc-s1, libcrypt1 (>= 1:4.4.10-10)");
  const jemalloc = entry(
    "libjemalloc2",
    "Multi-Arch: same",
    "Depends: libc6 (>= 2.34)",
    "Description: allocator",
    " Long.",
  );
  const client = entry("python3-redis", "Depends: python3:any", "Suggests: redis-server");
  const tools = entry("redis-tools", "Depends: libc6, libjemalloc2 (>= 2.1.1)");
  const server = entry("redis-server", "Pre-Depends: init-system-helpers", "Depends: redis-tools (= 5:7.0.15-1)");
  const sentinel = entry("redis-sentinel", "Depends: redis-tools (= 5:7.0.15-1)");
  const all = entry("redis", "Depends: redis-server (<< 5:7.0.15-1.1~)");
  const valkey = entry("valkey-tools", "Depends: libc6");

  it("are asked for although the machine has one of them; libraries that it has are not", () => {
    for (const half of [[tools], [server], [tools, sentinel], [tools, server, all], [valkey]]) {
      assert.equal(withoutServers(status(libc, ...half, jemalloc, client)), status(libc, jemalloc, client));
    }
    assert.equal(withoutServers(status(libc, jemalloc)), status(libc, jemalloc));
    assert.equal(withoutServers(""), "");
  });

  it("are not missed by what depends on them, which would stop apt-get: that is not there either", () => {
    const shop = entry("shop", "Depends: nginx | apache2, shop-queue");
    const queue = entry("shop-queue", "Pre-Depends: valkey-server (>= 8) | redis-server:any");
    assert.equal(withoutServers(status(shop, libc, queue, server, tools)), status(libc));
  });
});
