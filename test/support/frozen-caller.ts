import { connect, defineScript } from "../../src/index.ts";

/*
 * A process of its own for tests that stop it: connects by the options given as JSON, says so, and makes one call when it
 * has been stopped and goes on.
 */
const [options = ""] = process.argv.slice(2);
const incr = defineScript({ name: "incr", source: "return redis.call('incr', KEYS[1])", numberOfKeys: 1 });
const client = await connect({ ...JSON.parse(options), scripts: [incr] });
await client.run(incr, ["frozen"]);
let seen = Date.now();
const look = setInterval(async () => {
  const stoodStillMs = Date.now() - seen;
  seen = Date.now();
  if (stoodStillMs < 1000) return;
  clearInterval(look);
  const result = await client.run(incr, ["frozen"]).catch((error: Error & { outcome?: string }) => error.message);
  process.stdout.write(`${String(result)}\n`);
  client.destroy();
}, 5);
process.stdout.write("ready\n");
