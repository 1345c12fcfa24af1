import { defineConfig } from "tsup";

export default defineConfig({
  // The thread of the scripts is a program of its own, found beside all other code by its name.
  entry: { index: "src/index.ts", main: "src/main.ts", "hook-thread": "src/hooks/hook-thread.ts" },
  format: "esm",
  target: "node24",
  tsconfig: "../tsconfig.json",
  dts: { entry: { index: "src/index.ts" } },
  sourcemap: true,
  clean: true,
  silent: true,
});
