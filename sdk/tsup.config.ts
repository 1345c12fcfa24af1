import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/index.ts", "src/admin/index.ts", "src/gen/index.ts", "src/gen/grpc-services.ts"],
  format: "esm",
  target: "node22",
  tsconfig: "../tsconfig.json",
  dts: true,
  sourcemap: true,
  clean: true,
  silent: true,
});
