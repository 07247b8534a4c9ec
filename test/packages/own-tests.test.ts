import { SUITES } from "./own/suites.ts";
import { tryOwnTests } from "./own/try-own-tests.ts";

tryOwnTests(SUITES.filter(({ name }) => name !== "bottleneck"));
