import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** The bytes of a request's body that are read at most. */
export const MOST_BODY_BYTES = 64 * 1024;
const TOKEN_BYTES = 16;

/** Why a request is not served. `headers` are sent with it. */
export interface Refusal {
  readonly status: number;
  readonly why: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that may be served: what it asks for, below the token. `""` is the page. */
export interface Admitted {
  readonly path: string;
}

/** A secret for the address of a page, as 32 hexadecimal digits. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString("hex");
}

/**
 * Decides whether a request is served, by all but its body. Only the page itself may ask: whoever does not know the token,
 * or is led here by another site, is refused before anything is read or done.
 *
 * | refused | because |
 * | --- | --- |
 * | a Host that is not loopback with this port | another name can be made to lead here (DNS rebinding) |
 * | an Origin that is not this server's | another site's script asks |
 * | a POST that says it comes from another site | the same, in newer browsers |
 * | a wrong token | whoever guesses is told nothing of what is here |
 */
export function admit(request: Pick<IncomingMessage, "method" | "url" | "headers">, port: number, token: string) {
  const { method = "", url = "", headers } = request;
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (!hosts.includes(headers.host ?? "")) return refusal(403, `the Host must be ${hosts.join(" or ")}.`);
  const { origin } = headers;
  if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`)) {
    return refusal(403, "another site's pages may not ask this server.");
  }
  const [path = ""] = url.split("?", 1);
  const [, given = "", ...rest] = path.split("/");
  if (!isSame(given, token)) return refusal(404, "there is nothing here.");
  // Relative addresses of the page need the slash behind the token.
  if (rest.length === 0)
    return { ...refusal(308, "the address ends with a slash."), headers: { Location: `/${token}/` } };
  const asked = rest.join("/");
  const accepted = asked === "do" ? ["POST"] : ["GET", "HEAD"];
  if (!accepted.includes(method)) {
    const refused = refusal(405, `${asked === "do" ? "do" : "this"} accepts ${accepted.join(" and ")}.`);
    return { ...refused, headers: { Allow: accepted.join(", ") } };
  }
  if (asked !== "do") return { path: asked };
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    return refusal(403, "another site's pages may not ask this server.");
  }
  const [type = ""] = (headers["content-type"] ?? "").split(";", 1);
  if (type.trim().toLowerCase() !== "application/json")
    return refusal(415, "the Content-Type must be application/json.");
  if (Number(headers["content-length"] ?? 0) > MOST_BODY_BYTES) return tooLarge();
  return { path: asked };
}

export function tooLarge(): Refusal {
  return refusal(413, `a body has at most ${MOST_BODY_BYTES} bytes.`);
}

function refusal(status: number, why: string): Refusal {
  return { status, why };
}

/** Compares in a time that does not depend on where the texts differ. */
function isSame(given: string, token: string): boolean {
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
