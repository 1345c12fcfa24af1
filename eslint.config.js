import eslint from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";
import { layerConfig } from "./eslint.layers.js";

export default defineConfig(
  {
    ignores: [
      "**/node_modules/",
      "**/dist/",
      // Generated code is the generator's affair.
      "sdk/src/gen/fila/",
      "sdk/src/gen/google/",
      "sdk/src/gen/grpc/",
      // So is vendored code that of its authors.
      "server/src/hooks/engine/fengari/",
    ],
  },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ["*.js", ".ci/*.cjs"] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      "@typescript-eslint/no-floating-promises": [
        "error",
        // node:test keeps the promises of its own tests; awaiting each would only add noise.
        {
          allowForKnownSafeCalls: [
            {
              from: "package",
              package: "node:test",
              name: ["test", "it", "describe", "suite", "before", "after", "beforeEach", "afterEach"],
            },
          ],
        },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // What was caught or carried over as `unknown` may be thrown on as it is.
      "@typescript-eslint/only-throw-error": ["error", { allowThrowingUnknown: true, allowThrowingAny: false }],
      // Numbers and booleans in a message are what a template is for; objects stay forbidden.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // `() => doIt()` is the plain way to pass on a call; the types already say when its value is dropped.
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // Typed arrays and bounded loops: an index proven in range is asserted, because noUncheckedIndexedAccess
      // makes every read of a column `number | undefined` and a check per read is paid on the hot path.
      "@typescript-eslint/no-non-null-assertion": "off",
      // `while (true)` and conditions kept as assertions of an invariant are deliberate.
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      // An interface of methods is often implemented by async functions that need not await, and by empty ones.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/no-empty-function": "off",
      // A leading underscore marks a parameter that a signature demands and a function does not need.
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
  ...layerConfig,
  {
    name: "fila/intrusive-lists",
    // A node of an intrusive list is declared by the shape of its links, which its sentinel shares; the cast back to the
    // class of its nodes is what such a list costs.
    files: ["server/src/core/**/*.ts"],
    rules: { "@typescript-eslint/no-unsafe-class-instance-assignment": "off" },
  },
  {
    name: "fila/talking",
    // These print to a person, or to the program that reads their output.
    files: ["test/{bench,hooks,simulation,mutants,packages}/**/*.ts", "examples/**/*.ts"],
    rules: { "no-console": "off" },
  },
  {
    name: "fila/tests",
    files: ["**/*.test.ts", "test/**/*.ts"],
    rules: {
      // Tests look into values they themselves made: casts there state an expectation that the test then proves.
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/no-unnecessary-condition": "off",
      "no-restricted-syntax": [
        "error",
        {
          selector: "CallExpression[callee.name='setTimeout'][arguments.1.value>=10]",
          message: "Wait for a signal, never for time. A deadline is AbortSignal.timeout() or the test's own timeout.",
        },
      ],
      "no-restricted-imports": ["error", { paths: ["timers/promises", "node:timers/promises"] }],
    },
  },
  {
    name: "fila/plain-javascript",
    // Configuration and set-up are not part of the typed program.
    files: ["**/*.js", "**/*.cjs"],
    extends: [tseslint.configs.disableTypeChecked],
  },
  {
    name: "fila/commonjs",
    files: ["**/*.cjs"],
    languageOptions: {
      sourceType: "commonjs",
      ecmaVersion: 5,
      globals: { require: "readonly", process: "readonly", __dirname: "readonly" },
    },
    rules: {
      // ES5 for whatever Node a machine came with: neither import nor const there.
      "@typescript-eslint/no-require-imports": "off",
      "no-var": "off",
    },
  },
);
