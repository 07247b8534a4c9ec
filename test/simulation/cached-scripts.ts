import { defineScript } from "../../src/index.ts";
import { CACHED_SOURCES } from "./sim-scripts.ts";

/** The scripts of runs with a cache. */
export const CACHED_SCRIPTS = {
  peek: defineScript({ name: "peek", source: CACHED_SOURCES.peek, readOnly: true }),
  derive: defineScript({ name: "derive", source: CACHED_SOURCES.derive, numberOfKeys: 1, readOnly: true }),
  assign: defineScript({ name: "assign", source: CACHED_SOURCES.assign }),
} as const;
