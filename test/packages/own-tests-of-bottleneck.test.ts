import { SUITES } from "./own/suites.ts";
import { tryOwnTests } from "./own/try-own-tests.ts";

// By itself, because it takes a minute and more.
tryOwnTests(SUITES.filter(({ name }) => name === "bottleneck"));
