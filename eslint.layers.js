// The direction of dependencies as a table, and the purity of the core as a rule. What is not listed is forbidden.
// Kept apart from eslint.config.js because it needs no type information, so a test can try it on planted code quickly.
import path from "node:path";
import { builtinModules } from "node:module";
import tseslint from "typescript-eslint";

const root = import.meta.dirname;

/** The core's data: values that others may use; of the rest of the core they see the types only. */
const CORE_DATA = [
  "commands",
  "effects",
  "errors",
  "message-id",
  "mutations",
  "queue-name",
  "queue-settings",
  "runtime-config",
].map((name) => `server/src/core/${name}.ts`);
/**
 * Each layer is a folder; a file belongs to the deepest one listed that holds it.
 * `imports`: layers it may import. `typesOf`: layers whose types it may import. `files`: single files it may import.
 * `dynamic`: layers it may import by `import()` only. `pure`: no packages and no built-in modules either.
 */
export const layers = {
  "sdk/src/gen": { imports: [] },
  "sdk/src": { imports: ["sdk/src/gen"] },
  // The one edge from the SDK to the server: a test broker is the real core in process.
  "sdk/src/testing": { imports: ["sdk/src", "sdk/src/gen", "server/src"] },

  "server/src/core": { imports: [], pure: true },
  "server/src/storage": { imports: [], typesOf: ["server/src/core"], files: CORE_DATA },
  // The journal stands on the port and is what the broker writes through.
  "server/src/storage/journal": { imports: ["server/src/storage"], typesOf: ["server/src/core"], files: CORE_DATA },
  "server/src/hooks": { imports: [], typesOf: ["server/src/core"], files: CORE_DATA },
  // A consumer session is written against the contract of the broker, not against the broker.
  "server/src/delivery": {
    imports: ["sdk/src/gen"],
    typesOf: ["server/src/core"],
    files: [...CORE_DATA, "server/src/broker/contract.ts"],
  },
  "server/src/config": { imports: [], typesOf: ["server/src/core"], files: CORE_DATA },
  "server/src/telemetry": { imports: [], typesOf: ["server/src/core", "server/src/hooks"], files: CORE_DATA },
  "server/src/cluster": { imports: [], typesOf: ["server/src/core"], files: CORE_DATA },
  // The broker drives the core, and writes through the ports of the others.
  "server/src/broker": {
    imports: ["server/src/core", "server/src/storage/journal"],
    typesOf: ["storage", "hooks", "delivery", "telemetry", "config"].map((l) => `server/src/${l}`),
    files: ["server/src/storage/port.ts"],
  },
  "server/src/rpc": {
    imports: ["sdk/src/gen", "server/src/broker", "server/src/delivery"],
    typesOf: ["server/src/core", "server/src/hooks", "server/src/telemetry", "server/src/config"],
    files: CORE_DATA,
  },
  // compose.ts is the dependency graph as code; main.ts, index.ts and the configuration stand beside it.
  "server/src": {
    imports: [
      ...["core", "config", "storage", "hooks", "delivery", "telemetry", "cluster", "broker", "rpc"].map(
        (l) => `server/src/${l}`,
      ),
      "sdk/src/gen",
    ],
  },

  "cli/src": { imports: ["sdk/src", "sdk/src/gen"], dynamic: ["server/src"] },
  examples: { imports: ["sdk/src"] },
  // What crosses packages may look inside them.
  test: { imports: ["*"] },
};

/** The public entries by which one package reaches another, with the layer each stands for. */
const entries = {
  "@fila/sdk": { layer: "sdk/src", file: "sdk/src/index.ts" },
  "@fila/sdk/admin": { layer: "sdk/src", file: "sdk/src/admin/index.ts" },
  "@fila/sdk/gen": { layer: "sdk/src/gen", file: "sdk/src/gen/index.ts" },
  "@fila/sdk/gen/grpc": { layer: "sdk/src/gen", file: "sdk/src/gen/grpc-services.ts" },
  "@fila/sdk/testing": { layer: "sdk/src/testing", file: "sdk/src/testing/index.ts" },
  "@fila/server": { layer: "server/src", file: "server/src/index.ts" },
};

/** Packages with one home: whoever else wants one goes through that layer. */
const homes = [
  { packages: /^(level|classic-level|memory-level|abstract-level)$/, layers: ["server/src/storage", "test"] },
  { packages: /^fengari/, layers: ["server/src/hooks", "test"] },
  { packages: /^smol-toml$/, layers: ["server/src/config", "test"] },
  { packages: /^(pino$|@opentelemetry\/)/, layers: ["server/src/telemetry", "test"] },
  { packages: /^@oclif\//, layers: ["cli/src", "test"] },
];

const layerNames = Object.keys(layers).sort((a, b) => b.length - a.length);
/** Directly in server/src stand only the files that compose; a new folder there needs its own line in the table. */
const flat = "server/src";
const layerOf = (file) => {
  const layer = layerNames.find((name) => file.startsWith(`${name}/`));
  return layer === flat && file.slice(flat.length + 1).includes("/") ? undefined : layer;
};
const packageOf = (file) => file.split("/")[0];
/** Unit tests and the twins they use may reach across their own package. */
const isTest = (file) => file.endsWith(".test.ts") || file.includes("/testing/") || file.startsWith("test/");

/** Says why `file` may not import `source`, or nothing. */
function objection(file, source, { typeOnly, dynamic }) {
  const from = layerOf(file);
  if (from === undefined) return `${file} lies in no layer`;
  const rules = layers[from];
  const relative = source.startsWith(".");
  const builtin = source.startsWith("node:") || builtinModules.includes(source.split("/")[0]);

  if (!relative && !source.startsWith("@fila/")) {
    if (isTest(file)) return undefined;
    if (rules.pure) return `${from} is pure: it imports only itself`;
    const home = builtin ? undefined : homes.find((h) => h.packages.test(source));
    if (home !== undefined && !home.layers.includes(from)) return `${source} belongs to ${home.layers[0]}`;
    return undefined;
  }

  let target;
  let to;
  if (relative) {
    target = path.posix.join(path.posix.dirname(file), source);
    to = layerOf(target);
    if (from !== "test" && packageOf(target) !== packageOf(file)) return "another package is imported by its name";
  } else {
    const entry = entries[source];
    if (entry === undefined) return `${source} is not a public entry; packages have no deep imports`;
    target = entry.file;
    to = entry.layer;
    if (packageOf(target) === packageOf(file)) return "a package does not import itself by name";
  }
  if (to === undefined) return `${target} lies in no layer`;
  if (to === from || rules.imports.includes("*") || rules.imports.includes(to)) return undefined;
  if (isTest(file) && packageOf(target) === packageOf(file)) return undefined;
  if (rules.files?.includes(target)) return undefined;
  if (typeOnly && rules.typesOf?.includes(to)) return undefined;
  if (dynamic && rules.dynamic?.includes(to)) return undefined;
  if (rules.dynamic?.includes(to)) return `${from} may import ${to} only lazily, by import()`;
  if (rules.typesOf?.includes(to)) return `${from} may import only types from ${to} (import type)`;
  return `${from} may not import ${to}`;
}

const layerRule = {
  meta: { type: "problem", schema: [], messages: { edge: "{{why}}. The table of layers is in eslint.layers.js." } },
  create(context) {
    const file = path.relative(root, context.filename).split(path.sep).join("/");
    const check = (node, source, how) => {
      if (typeof source !== "string") return;
      const why = objection(file, source, { typeOnly: false, dynamic: false, ...how });
      if (why !== undefined) context.report({ node, messageId: "edge", data: { why } });
    };
    const onlyTypes = (node) =>
      node.importKind === "type" ||
      node.exportKind === "type" ||
      (node.specifiers?.length > 0 && node.specifiers.every((s) => s.importKind === "type" || s.exportKind === "type"));
    const fixed = (node) => node.source && check(node, node.source.value, { typeOnly: onlyTypes(node) });
    return {
      ImportDeclaration: fixed,
      ExportNamedDeclaration: fixed,
      ExportAllDeclaration: fixed,
      ImportExpression: (node) => check(node, node.source.value, { dynamic: true }),
      TSImportType: (node) => check(node, (node.source ?? node.argument?.literal)?.value, { typeOnly: true }),
    };
  },
};

/** The globals that give the same answer on every machine at every time. Any other is forbidden in the core. */
const pureGlobals = new Set(
  `Object Function Array Number String Boolean Symbol BigInt Math JSON RegExp Map Set Iterator undefined NaN Infinity
  isNaN isFinite parseInt parseFloat Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError
  URIError ArrayBuffer DataView Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array
  BigInt64Array BigUint64Array Float16Array Float32Array Float64Array WeakMap WeakSet`.split(/\s+/),
);
const impureGlobals = [
  ...new Set([
    ...Object.getOwnPropertyNames(globalThis),
    // Not properties of the global object of this Node, or of an older one.
    ...["globalThis", "global", "window", "self", "require", "module", "exports", "__dirname", "__filename", "eval"],
    ...["Date", "Promise", "Temporal", "Intl", "Buffer", "process", "performance", "crypto", "console"],
  ]),
].filter((name) => !pureGlobals.has(name));

const coreWhy = "The core is pure: time, randomness and I/O arrive as arguments.";
const noAsync = "The core has no promises: a wait for the world is a state and two commands.";
const purity = {
  "no-restricted-globals": ["error", ...impureGlobals.map((name) => ({ name, message: coreWhy }))],
  "no-restricted-properties": [
    "error",
    { object: "Math", property: "random", message: coreWhy },
    ...["localeCompare", "toLocaleString", "toLocaleLowerCase", "toLocaleUpperCase"].map((property) => ({
      property,
      message: "It depends on the locale of the machine.",
    })),
  ],
  "no-restricted-syntax": [
    "error",
    { selector: "MetaProperty[meta.name='import']", message: coreWhy },
    { selector: "ImportExpression", message: coreWhy },
    { selector: ":function[async=true]", message: noAsync },
    { selector: "AwaitExpression", message: noAsync },
    { selector: "ForOfStatement[await=true]", message: noAsync },
    { selector: "TSTypeReference[typeName.name=/^(Promise|PromiseLike|AsyncIterable|Date)$/]", message: noAsync },
  ],
};

export const layerConfig = [
  {
    name: "fila/layers",
    files: ["{sdk,server,cli}/src/**/*.ts", "examples/**/*.ts", "test/**/*.ts"],
    languageOptions: { parser: tseslint.parser },
    plugins: { fila: { rules: { layers: layerRule } } },
    rules: { "fila/layers": "error" },
  },
  {
    name: "fila/pure-core",
    files: ["server/src/core/**/*.ts"],
    // Tests of the core run it under the test runner, and may use the world to do so.
    ignores: ["server/src/core/**/*.test.ts", "server/src/core/testing/**"],
    languageOptions: { parser: tseslint.parser },
    rules: purity,
  },
];
