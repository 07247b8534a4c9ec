import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { realTime } from "../environment.ts";

/** A private key and its certificate, as PEM texts. The certificate is self-signed, so it is its own authority. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const OID = {
  ecdsaWithSha256: "2a8648ce3d040302",
  commonName: "550403",
  basicConstraints: "551d13",
  subjectAltName: "551d11",
};

/**
 * Makes a certificate for 127.0.0.1 and localhost that is valid from yesterday until tomorrow. The X.509 structure (RFC
 * 5280) is written out here, because Node can sign and read certificates but not make them, and because not every
 * machine has the openssl program.
 */
export function selfSignedCertificate(now = realTime.wallNow()): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const name = sequence(der(0x31, sequence(oid(OID.commonName), der(0x0c, Buffer.from("slotwire test")))));
  const isAuthority = sequence(der(0x01, Buffer.from([0xff])));
  // In a general name, tag 2 is a DNS name and tag 7 an IP address.
  const names = sequence(der(0x82, Buffer.from("localhost")), der(0x87, Buffer.from([127, 0, 0, 1])));
  const content = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name,
    sequence(time(now - DAY_MS), time(now + DAY_MS)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(extension(OID.basicConstraints, isAuthority), extension(OID.subjectAltName, names))),
  );
  const certificate = sequence(content, algorithm, der(0x03, Buffer.from([0]), sign("sha256", content, privateKey)));
  const lines = certificate.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}

/** An element in DER: tag, length, content. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const size = body.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

function sequence(...items: readonly Buffer[]): Buffer {
  return der(0x30, ...items);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

/** A positive integer in DER. The first bit of `bytes` must be 0, because a 1 would make the number negative. */
function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), der(0x04, value));
}

/** A UTCTime: `YYYYMMDDHHMMSSZ` without the century, which is correct until 2049. */
function time(milliseconds: number): Buffer {
  const text = new Date(milliseconds).toISOString().replace(/[-:T]|\.\d+/g, "");
  return der(0x17, Buffer.from(text.slice(2)));
}
