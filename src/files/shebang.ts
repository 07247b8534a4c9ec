import { InvalidArgumentError } from "../errors.ts";

/**
 * The flags of a script that begins with `#!lua`. Any other script has none.
 * @throws {InvalidArgumentError} for the flag `no-cluster`, because no cluster runs such a script.
 * @see https://redis.io/docs/latest/develop/programmability/lua-api/#script_flags
 */
export function readShebang(source: string, name: string): readonly string[] {
  if (!source.startsWith("#!lua")) return [];
  const line = source.split("\n", 1)[0] ?? "";
  const flags = /\sflags=(\S*)/.exec(line)?.[1]?.split(",") ?? [];
  if (flags.includes("no-cluster")) {
    throw new InvalidArgumentError(`Script "${name}" has the flag no-cluster: no cluster runs it.`);
  }
  return flags.filter((flag) => flag !== "");
}
