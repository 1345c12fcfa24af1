import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/index.ts", "src/main.ts"],
  format: "esm",
  target: "node24",
  tsconfig: "../tsconfig.json",
  dts: { entry: "src/index.ts" },
  sourcemap: true,
  clean: true,
  silent: true,
});
