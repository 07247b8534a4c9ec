import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import type { StudyEvent } from "../../src/cli/study/events.ts";
import { helloOf } from "../../src/cli/web/hello.ts";
import { LiveRecord } from "../../src/cli/web/live-record.ts";
import { LiveServer } from "../../src/cli/web/live-server.ts";
import { eventually } from "../support/eventually.ts";
import { ask, PageClient, perform } from "../support/page-client.ts";

const JSON_TYPE = { "Content-Type": "application/json" };

function sourceOf(record: LiveRecord, performed: unknown[] = []) {
  return {
    record,
    hello: () => helloOf({ mode: "cluster", server: "", controls: ["flush"], scripts: [], lessons: [], began: 0 }),
    perform: async (asked: unknown) => {
      performed.push(asked);
      return { ok: true, done: "done" } as const;
    },
    recordPage: async () => "<!doctype html>",
  };
}

let seq = 0;
const noted = (text: string): StudyEvent => {
  seq++;
  return { seq, at: seq, type: "action", action: seq, name: "flush", text, state: "done" };
};

describe("the server of the live page", () => {
  const performed: unknown[] = [];
  const record = new LiveRecord();
  let server: LiveServer;
  let port: string;
  let token: string;
  before(async () => {
    server = await LiveServer.start(sourceOf(record, performed));
    ({ port } = new URL(server.url));
    token = new URL(server.url).pathname.slice(1, -1);
  });
  after(() => server.close());
  const post = (headers: Record<string, string>, body = '{"name":"flush"}') =>
    ask(`${server.url}do`, { method: "POST", headers, body });

  it("has a secret of 128 bits in its address", () => {
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/$/);
  });

  it("listens on loopback alone", async () => {
    const { networkInterfaces } = await import("node:os");
    const others = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    for (const { address } of others.filter(({ internal, family }) => !internal && family === "IPv4")) {
      const outcome = await new Promise((resolve) => {
        connect({ host: address, port: Number(port) })
          .once("connect", () => resolve("connected"))
          .once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
      });
      assert.equal(outcome, "ECONNREFUSED", address);
    }
  });

  it("serves the page with a policy that lets it load nothing from elsewhere", async () => {
    const page = await ask(server.url);
    assert.equal(page.status, 200);
    assert.match(page.text, /<!doctype html>/i);
    assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
    assert.match(
      String(page.headers["content-security-policy"]),
      /^default-src 'none'; script-src 'self'; style-src 'self'/,
    );
    assert.match(String(page.headers["content-security-policy"]), /frame-ancestors 'none'/);
    assert.doesNotMatch(String(page.headers["content-security-policy"]), /unsafe|\*/);
    assert.equal(page.headers["referrer-policy"], "no-referrer");
    assert.equal(page.headers["x-content-type-options"], "nosniff");
    assert.equal(page.headers["cache-control"], "no-store");
    assert.equal(page.headers["access-control-allow-origin"], undefined);
    const script = await ask(`${server.url}app.js`);
    assert.deepEqual([script.status, script.headers["content-type"]], [200, "text/javascript; charset=utf-8"]);
    const slashless = await ask(server.url, { path: `/${token}` });
    assert.deepEqual([slashless.status, slashless.headers.location], [308, `/${token}/`]);
  });

  it("tells nothing to whoever does not know the token", async () => {
    const wrong = [
      `${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`,
      token.toUpperCase(),
      token.slice(1),
      "",
      "x",
    ];
    for (const each of wrong.filter((other) => other !== token)) {
      for (const path of ["", "/", "/events", "/do", "/app.js", "/record.html"]) {
        const { status, text } = await ask(server.url, { path: `/${each}${path}` });
        assert.equal(status, 404, `/${each}${path}`);
        assert.doesNotMatch(text, new RegExp(token));
      }
    }
    assert.equal((await ask(server.url, { method: "POST", path: "/do", headers: JSON_TYPE, body: "{}" })).status, 404);
  });

  it("refuses a Host that is another name for it, whatever is asked", async () => {
    for (const host of [
      "evil.example",
      `evil.example:${port}`,
      "127.0.0.1",
      "127.0.0.1:1",
      `127.0.0.1.evil.example:${port}`,
    ]) {
      for (const path of ["", "events", "app.js"]) {
        assert.equal((await ask(`${server.url}${path}`, { headers: { Host: host } })).status, 403, host);
      }
      assert.equal((await post({ ...JSON_TYPE, Host: host })).status, 403, host);
    }
    assert.equal((await ask(server.url, { headers: { Host: `localhost:${port}` } })).status, 200);
    assert.deepEqual(performed, []);
  });

  it("refuses a foreign Origin", async () => {
    for (const Origin of [
      "http://evil.example",
      "null",
      `https://127.0.0.1:${port}`,
      "http://127.0.0.1:1",
      "http://127.0.0.1",
    ]) {
      assert.equal((await post({ ...JSON_TYPE, Origin })).status, 403, Origin);
      assert.equal((await ask(`${server.url}events`, { headers: { Origin } })).status, 403, Origin);
    }
    assert.equal((await post({ ...JSON_TYPE, "Sec-Fetch-Site": "cross-site" })).status, 403);
    assert.equal((await post({ ...JSON_TYPE, "Sec-Fetch-Site": "same-site" })).status, 403);
    assert.deepEqual(performed, []);
    assert.equal(
      (await post({ ...JSON_TYPE, Origin: `http://127.0.0.1:${port}`, "Sec-Fetch-Site": "same-origin" })).status,
      200,
    );
    assert.deepEqual(performed.splice(0), [{ name: "flush" }]);
  });

  it("does only what is posted as JSON, and serves only what is got", async () => {
    for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
      const { status, headers } = await ask(`${server.url}do`, { method });
      assert.deepEqual([status, headers.allow], [405, "POST"], method);
    }
    for (const path of ["", "events", "app.js", "record.html"]) {
      const { status, headers } = await ask(`${server.url}${path}`, { method: "POST", headers: JSON_TYPE, body: "{}" });
      assert.deepEqual([status, headers.allow], [405, "GET, HEAD"], path);
    }
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "",
      "application/jsonp",
    ]) {
      assert.equal((await post({ "Content-Type": type })).status, 415, type);
    }
    for (const body of ["", "{", "[]", "null", "7", '"flush"']) {
      const { status, text } = await post(JSON_TYPE, body);
      assert.equal(status, 400, body);
      assert.match(text, /accepted is \{ name, \.\.\. \}/);
    }
    assert.deepEqual(performed, []);
  });

  it("reads no more of a body than 64 KiB", async () => {
    const large = JSON.stringify({ name: "flush", padding: "x".repeat(64 * 1024) });
    assert.equal((await post(JSON_TYPE, large)).status, 413);
    // Without its length, so that the server has to count.
    const chunked = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), "127.0.0.1");
      let answer = "";
      socket.on("data", (data) => {
        answer += data;
      });
      socket.on("close", () => resolve(answer));
      socket.on("error", () => {});
      socket.write(
        `POST /${token}/do HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
      const more = () => {
        while (!socket.destroyed && socket.write(chunk));
      };
      socket.on("drain", more);
      more();
    });
    assert.match(chunked, /^HTTP\/1\.1 413 /);
    assert.deepEqual(performed, []);
  });

  it("serves no file but the page's own", async () => {
    const paths = [
      "../live-server.ts",
      "..%2flive-server.ts",
      "%2e%2e/live-server.ts",
      "....//live-server.ts",
      "..\\live-server.ts",
      "/etc/passwd",
      "%00",
      "app.js%00.html",
      "app.js/",
      "./app.js",
      "APP.JS",
      "missing.js",
      ".hidden.js",
      "constructor",
      "__proto__",
    ];
    for (const path of paths) assert.equal((await ask(server.url, { path: `/${token}/${path}` })).status, 404, path);
  });

  it("says what a page needs first, and then what happens", async () => {
    record.add(noted("before"));
    const page = new PageClient(server.url);
    await eventually(() => assert.equal(page.events.length, 1));
    const { hello } = page;
    assert.deepEqual(
      [hello?.mode, hello?.controls, hello?.file],
      ["cluster", ["flush"], "src/routing/next-step-rows.ts"],
    );
    const line = hello?.rows.find(({ row }) => row === "ask-known")?.line;
    const rows = readFileSync(new URL("../../src/routing/next-step-rows.ts", import.meta.url), "utf8").split("\n");
    assert.match(rows[(line ?? 0) - 1] ?? "", /"ask-known": /);
    assert.deepEqual(
      hello?.rows.find(({ row }) => row === "ask-known"),
      {
        line,
        row: "ask-known",
        met: hello?.rows.find(({ row }) => row === "ask-known")?.met,
        kind: "retry",
        to: "named",
        when: "now",
        spends: "redirection",
        learned: "nothing",
        why: null,
        outcome: null,
      },
    );
    record.add(noted("after"));
    await eventually(() =>
      assert.deepEqual(
        page.events.map((event) => event.type === "action" && event.text),
        ["before", "after"],
      ),
    );
    assert.equal(page.beginnings, 1);
    page.close();
    await eventually(() => assert.equal(server.listeners, 0));
  });

  it("says nothing before that, also while other pages wait for what is new", async () => {
    const other = new PageClient(server.url);
    await eventually(() => assert.equal(server.listeners, 1));
    const socket = connect(Number(port), "127.0.0.1");
    let got = "";
    socket.on("data", (data) => {
      got += data.toString("latin1");
    });
    // There is always something new that no page has been told.
    const always = setInterval(() => record.add(noted("new")), 1);
    socket.write(`GET ${new URL(server.url).pathname}events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    await eventually(() => assert.match(got, /event: hello/));
    clearInterval(always);
    assert.equal(/event: (\w+)/.exec(got)?.[1], "hello");
    other.close();
    socket.destroy();
    await eventually(() => assert.equal(server.listeners, 0));
  });

  it("takes at most 16 pages", async () => {
    const pages = Array.from({ length: 16 }, () => new PageClient(server.url));
    await eventually(() => assert.equal(server.listeners, 16));
    assert.equal((await ask(`${server.url}events`)).status, 503);
    for (const page of pages) page.close();
    await eventually(() => assert.equal(server.listeners, 0));
    assert.deepEqual(await perform(server.url, { name: "flush" }), { ok: true, done: "done" });
  });
});

describe("a page that reads slowly", () => {
  it("begins once, however large the state is that it begins with", async (context) => {
    const record = new LiveRecord();
    // 16 MB: more than a page may have unread, and than the kernel takes at once.
    const text = "x".repeat(40_000);
    for (let each = 0; each < 400; each++) record.add(noted(text));
    const server = await LiveServer.start(sourceOf(record));
    const { port, pathname } = new URL(server.url);
    const socket = connect(Number(port), "127.0.0.1");
    context.after(async () => {
      socket.destroy();
      await server.close();
    });
    socket.write(`GET ${pathname}events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    let got = "";
    let beginnings = 0;
    socket.on("data", (data) => {
      got = got.slice(-20) + data.toString("latin1");
      const begun = got.split("event: hello").length - 1;
      // It stops at once: what it began with must not be read before the batches come.
      if (begun > 0 && beginnings === 0) socket.pause();
      beginnings += begun;
      if (beginnings > 0) got = got.slice(-300).replaceAll("event: hello", "");
    });
    await eventually(() => assert.equal(beginnings, 1));
    // A batch each, while what it began with is not read yet.
    for (let batch = 0; batch < 10; batch++) {
      const before = server.unreadBytes;
      record.add(noted("meanwhile"));
      await eventually(() => assert.notEqual(server.unreadBytes, before, "the batch waits with the rest"));
    }
    record.add(noted("last"));
    socket.resume();
    await eventually(() => assert.match(got, /"text":"last"/));
    assert.equal(beginnings, 1);
  });
});

describe("a page that does not read", () => {
  it("costs a bounded amount of memory, and gets the present state when it reads again", async (context) => {
    const record = new LiveRecord({ notes: 100 });
    const server = await LiveServer.start(sourceOf(record));
    const { port, pathname } = new URL(server.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.write(`GET ${pathname}events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    await eventually(() => assert.equal(server.listeners, 1));
    socket.pause();
    const reader = new PageClient(server.url);
    context.after(async () => {
      socket.destroy();
      reader.close();
      await server.close();
    });
    await eventually(() => assert.equal(server.listeners, 2));
    // 40 MB in all: what the kernel takes is a part of it.
    const text = "x".repeat(40_000);
    for (let batch = 0; batch < 100; batch++) {
      for (let each = 0; each < 10; each++) record.add(noted(text));
      const { seq: last } = noted("");
      await eventually(() => assert.equal(reader.events.at(-1)?.seq, last - 1));
      assert.ok(server.unreadBytes < 8_000_000, `${server.unreadBytes} bytes wait`);
    }
    assert.equal(reader.beginnings, 1);
    record.add(noted("last"));
    let got = "";
    socket.on("data", (data) => {
      got = (got + data.toString("latin1")).slice(-8_000_000);
    });
    socket.resume();
    await eventually(() => assert.match(got.slice(-300), /"text":"last"/));
    const again = got.slice(got.lastIndexOf("event: hello"));
    assert.ok(
      (again.match(/"type":"action"/g)?.length ?? 0) <= 100,
      "it begins with the state, not with all that happened",
    );
  });
});
