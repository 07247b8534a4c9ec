import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "rolldown";
import { esmExternalRequirePlugin } from "rolldown/plugins";

/*
 * npm run build: the compiler writes modules and types to build/, one file for each source. From there
 *
 *   dist/       gets the ES modules, bundled, and their types
 *   dist/cjs/   gets the same in CommonJS, but for the command line
 *
 * Bundles are for the time of an import: a process that reads 200 files takes twice as long. Names and lines are
 * kept, so that stack traces can be read. The modules that all entry points share are one file, and so there is one class
 * of each name, whichever entry point it comes from.
 */
const entries = ["index", "testing/index", "telemetry/opentelemetry/index", "ioredis/index"];

const BUILD = resolve("build");
/** All but the folders that one entry point alone needs. */
const SHARED = /^(?!(cli|ioredis|testing|telemetry.opentelemetry)\b)/;
/** The same in CommonJS, where the entry point itself has to be named. */
const CORE = /^(?!(index\.js|ioredis|testing|telemetry.opentelemetry)\b)/;

/** What a process needs only when it connects, or defines a script: CommonJS can load it then. */
const LATER = ["node:crypto", "node:net", "node:stream", "node:tls", "redis-parser", "lru-cache"];

/**
 * What nothing needs before it connects, or reads scripts from files: in CommonJS a file of its own, `shared/later.js`. The
 * engine reads every line of a file when it is loaded, which is most of the time of an import. Nothing here may be used
 * while another module is being loaded, nor by the files of entry points.
 */
const LATER_FILES = new RegExp(
  [
    /^(cache\/|calls\/cached-reads|telemetry\/cache-)/,
    /^(calls\/subscribe\.|subscriptions\/(?!(gap|iteration|message-queue|subscription)\.))/,
    /^calls\/(scan|watch)/,
    /^files\/(lua-file|script-file)\./,
  ]
    .map(({ source }) => source)
    .join("|"),
);

/** The packages that are installed beside this one. */
const BESIDE = ["@ioredis/commands", "@opentelemetry/api", "cluster-key-slot", "lru-cache"];

/** Of redis-parser, which the ES modules contain. */
const NOTICE =
  "/*! Contains redis-parser, (c) 2015 NodeRedis, and redis-errors, (c) 2017 Ruben Bridgewater. Both: the MIT License. */";

export default defineConfig([
  bundle("dist", "es", [...entries, "cli/main"], [importsBuiltins(), types("dist"), pageFiles("dist")]),
  bundle("dist/cjs", "cjs", entries, [loadsLater(), types("dist/cjs"), inCommonJs("dist/cjs")]),
]);

function bundle(dir, format, names, plugins) {
  const isCommonJs = format === "cjs";
  const files = isCommonJs ? { later: LATER_FILES, core: CORE } : { core: SHARED };
  return {
    input: Object.fromEntries(names.map((name) => [name, join(BUILD, `${name}.js`)])),
    platform: "node",
    ...(isCommonJs && { preserveEntrySignatures: "allow-extension" }),
    external: [/^node:/, ...(format === "es" ? BESIDE : [...BESIDE, "redis-parser"])],
    plugins: [...plugins, oneByteCharacters()],
    output: {
      dir,
      format,
      exports: "named",
      strict: true,
      esModule: true,
      banner: ({ name }) => (format === "es" && name === "core" ? NOTICE : ""),
      comments: { annotation: true, jsdoc: false, legal: false },
      chunkFileNames: "shared/[name].js",
      codeSplitting: {
        includeDependenciesRecursively: !isCommonJs,
        groups: Object.entries(files).map(([name, path]) => ({ name, test: (id) => path.test(relative(BUILD, id)) })),
      },
    },
  };
}

/**
 * redis-parser is CommonJS that requires modules of Node. A bundler that makes one ES module of an application cannot keep
 * such a `require`, so the ES modules contain redis-parser, with imports in its place.
 */
function importsBuiltins() {
  return esmExternalRequirePlugin({ external: ["assert", "buffer", "string_decoder", "util"] });
}

/** One character that is not Latin-1 makes the engine keep, and scan, the whole file with two bytes a character. */
function oneByteCharacters() {
  const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return {
    name: "one-byte-characters",
    renderChunk: (code) => ({ code: code.replace(/[^\0-\x7f]/g, escaped) }),
  };
}

/**
 * `let tls = require("node:tls")` becomes a function, called where `tls` is used. A client that is open has called it, so
 * that nothing is loaded when it connects again.
 *
 * The file that is loaded later becomes a function that is given what it needs of the core, and returns what it has. If it
 * required it, a tool that empties the cache of modules would give it another one. `connect` loads it, while it waits for
 * the servers: the file may be gone when a service is deployed anew in its folder, days before its first subscription.
 */
function loadsLater() {
  return {
    name: "loads-later",
    renderChunk(code, { fileName }) {
      if (!/shared\/|ioredis\//.test(fileName)) return;
      const [, file] = /shared\/(.*)\.js$/.exec(fileName) ?? [];
      let changed = code;
      for (const id of LATER) {
        const name = id.replace(/\W/g, "_");
        changed = changed
          .replace(new RegExp(`^${name} = __toESM\\(${name}.*\\);\n`, "m"), "")
          .replace(new RegExp(`\\b${name}\\.default\\b`, "g"), `(${name}())`);
        changed = loadedLater(changed, `let ${name} = require("${id}");`, name, `require("${id}")`);
      }
      if (file === undefined) return { code: changed };
      const { exported, text } = withoutExports(changed);
      if (file === "later") return { code: asFunction(text, exported) };
      if (!text.includes("\nconst later = [];\n")) throw new Error("Where is what connect() loads?");
      changed = loadedLater(
        text.replace("\nconst later = [];\n", "\nconst later = [() => require_later()];\n"),
        'const require_later = require("./later.js");',
        "require_later",
        'require("./later.js")(exports)',
      );
      const last = exported.map(([name, local]) => `exports.${name} = ${local};`);
      return { code: [changed.trimEnd(), ...last, ""].join("\n") };
    },
  };
}

function loadedLater(code, declaration, name, loaded) {
  if (!code.includes(declaration)) return code;
  return code
    .replace(new RegExp(`\\b${name}\\.`, "g"), `(${name}()).`)
    .replace(declaration, `let ${name}_;\nconst ${name} = () => ${name}_ ??= ${loaded};`);
}

/**
 * What is exported is read by getters, which look for the value each time. It never changes once the file is loaded, and
 * no file is read before that: so it is left to be set at the end.
 */
function withoutExports(code) {
  const exported = [];
  const getter =
    /^Object\.defineProperty\(exports, "(\w+)", \{\s+enumerable: true,\s+get: function ?\(\) \{\s+return ([\w$]+);\s+\}\s+\}\);\n?/gm;
  const text = code.replace(getter, (_, name, local) => {
    exported.push([name, local]);
    return "";
  });
  const variable = exported.find(([, local]) => text.includes(`\nlet ${local};`));
  if (variable !== undefined || /(?<![.\w])exports[.,)]/.test(text))
    throw new Error(`${variable ?? "exports"} may change.`);
  return { exported, text };
}

function asFunction(code, exported) {
  const core = new Set();
  const text = code
    .replace(/^"use strict";\n/, "")
    .replace('const require_core = require("./core.js");\n', "")
    .replace(/\brequire_core\.(\w+)/g, (_, name) => {
      core.add(name);
      return `core_${name}`;
    });
  if (/\brequire_\w+/.test(text)) throw new Error("later.js needs another file than the core.");
  const given = [...core].map((name) => `${name}: core_${name}`).join(", ");
  const own = exported.map(([name, local]) => `${name}: ${local}`).join(", ");
  // Behind a parenthesis the engine compiles a function at once, and does not first look for its end.
  return `"use strict";\nmodule.exports = (function({ ${given} }) {\n${text.trimEnd()}\nreturn { ${own} };\n});\n`;
}

/**
 * Copies the types that the entry points reach. The compiler leaves `.ts` at the ends of their imports, which older ones
 * cannot follow. With `.js` a copy is right for either format. What a class implements is left out, because the compiler has
 * stripped its internal members, which some of those interfaces ask for.
 */
function types(dir) {
  return {
    name: "types",
    writeBundle() {
      const reached = new Set(entries.map((name) => resolve(BUILD, `${name}.d.ts`)));
      for (const file of reached) {
        const text = readFileSync(file, "utf8")
          .replace(/^(export declare (?:abstract )?class .*?) implements .* \{$/gm, "$1 {")
          .replace(/((?:from|import\()\s*"\.[^"]*)\.ts"/g, (_, path) => {
            reached.add(resolve(dirname(file), `${path.slice(path.indexOf('"') + 1)}.d.ts`));
            return `${path}.js"`;
          });
        const target = join(dir, relative(BUILD, file));
        mkdirSync(dirname(target), { recursive: true });
        writeFileSync(target, text);
      }
    },
  };
}

/**
 * The files of the command line's page in the browser are served as they are. Beside them it is written at which lines the
 * rows of the decision stand, because the package does not contain their file.
 */
function pageFiles(dir) {
  const from = fileURLToPath(new URL("src/cli/web/page", import.meta.url));
  const rows = fileURLToPath(new URL("src/routing/next-step-rows.ts", import.meta.url));
  const isServed = (name) => /\.(html|css|js|svg|png)$/.test(name);
  return {
    name: "page-files",
    writeBundle() {
      const to = join(dir, "cli/web/page");
      mkdirSync(to, { recursive: true });
      for (const name of readdirSync(from).filter(isServed)) copyFileSync(join(from, name), join(to, name));
      writeFileSync(join(to, "row-lines.json"), JSON.stringify(linesOfRows(readFileSync(rows, "utf8"))));
    },
  };
}

/** As `rowLines` in src/cli/web/row-lines.ts. */
function linesOfRows(source) {
  const row = /^ {2}"?([a-z-]+)"?: (?:retry|atOwner|redirected|reject)\(/;
  const lines = source.split("\n").map((line, index) => [row.exec(line)?.[1], index + 1]);
  return Object.fromEntries(lines.filter(([name]) => name !== undefined));
}

/** Makes the files of a folder CommonJS, types included. */
function inCommonJs(dir) {
  return {
    name: "in-commonjs",
    writeBundle: () => writeFileSync(join(dir, "package.json"), '{ "type": "commonjs" }\n'),
  };
}
