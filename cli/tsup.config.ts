import { defineConfig } from "tsup";

export default defineConfig({
  // Each command stays a file of its own: oclif loads only the one that runs. The help class it loads by name.
  entry: ["src/main.ts", "src/help.ts", "src/commands/**/*.ts", "!src/**/*.test.ts"],
  outDir: "dist",
  format: "esm",
  target: "node24",
  tsconfig: "../tsconfig.json",
  sourcemap: true,
  clean: true,
  silent: true,
});
