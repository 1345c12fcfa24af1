// The fila command. Started by bin/fila.
import { enableCompileCache } from "node:module";

enableCompileCache();
const { commandFirst, wantsJson } = await import("./arguments.ts");
const { reportBrokenOutput } = await import("./broken-output.ts");
const args = commandFirst(process.argv.slice(2));
if (args[0] === "--version" || args[0] === "-v") {
  const { printVersion, versionOf } = await import("./version-text.ts");
  reportBrokenOutput();
  printVersion(versionOf(new URL("../package.json", import.meta.url)), wantsJson(args));
} else {
  const { loadConfig, runCommandLine } = await import("./command-line.ts");
  reportBrokenOutput();
  await runCommandLine(args, await loadConfig(import.meta.url));
}
