// Finds the command and runs it.
import { readFileSync } from "node:fs";
import { Config, run } from "@oclif/core";
import { reportOf, UsageError } from "./command-failure.ts";
import { exitCodes } from "./exit-codes.ts";

/**
 * Runs the command that the arguments name. `mainUrl` tells a checkout (src/main.ts, commands as TypeScript, no
 * manifest) from an installed package (dist/main.js). Never rejects; the exit status is set.
 */
export async function runCommandLine(argv: string[], mainUrl: string): Promise<void> {
  reportBrokenOutput();
  const fromSource = mainUrl.endsWith("/src/main.ts");
  const root = new URL("..", mainUrl);
  const pjson = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as PackageJson;
  const folder = fromSource ? "./src" : "./dist";
  const extension = fromSource ? "ts" : "js";
  pjson.oclif = {
    ...pjson.oclif,
    commands: { strategy: "pattern", target: `${folder}/commands` },
    helpClass: `${folder}/help.${extension}`,
    topics: { queue: { description: "Create, list, inspect and delete queues." } },
  };
  try {
    const config = await Config.load({
      root: decodeURIComponent(root.pathname),
      pjson: pjson as unknown as NonNullable<Parameters<typeof Config.load>[0] & object> extends { pjson?: infer P }
        ? P
        : never,
      ignoreManifest: fromSource,
    });
    await run(commandFirst(argv), config);
  } catch (error) {
    if (isExit(error)) {
      process.exitCode = error.oclif.exit;
      return;
    }
    const report = reportOf(unknownCommand(error), "");
    process.exitCode = report.exitCode;
    if (argv.includes("--json")) process.stdout.write(`${JSON.stringify({ error: report })}\n`);
    else process.stderr.write(`fila: ${report.message}\n`);
  }
}

/**
 * oclif throws errors of stdout out of an event, which ends the process with a stack and without releasing anything. A
 * reader that left is quiet; anything else, such as a full disk, is told once, on stderr, as stdout is what broke.
 */
function reportBrokenOutput(): void {
  process.stdout.removeAllListeners("error");
  let told = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (told || error.code === "EPIPE") return;
    told = true;
    process.exitCode = exitCodes.error;
    process.stderr.write(`fila: the output cannot be written: ${error.message}\n`);
  });
}

/** Operators of this protocol write `fila --addr HOST:PORT queue list`: flags before the command move behind it. */
function commandFirst(argv: readonly string[]): string[] {
  let at = 0;
  while (at < argv.length && leadingFlags.test(argv[at] ?? "")) at += argv[at] === "--addr" ? 2 : 1;
  if (at === 0 || at >= argv.length) return [...argv];
  const rest = argv.slice(at);
  const end = rest.indexOf("--");
  const behind = end < 0 ? rest.length : end;
  return [...rest.slice(0, behind), ...argv.slice(0, at), ...rest.slice(behind)];
}

const leadingFlags = /^(--addr(=.*)?|--json)$/;

interface PackageJson {
  oclif: Record<string, unknown>;
}

function isExit(error: unknown): error is { oclif: { exit: number } } {
  return error instanceof Error && (error as { code?: unknown }).code === "EEXIT";
}

function unknownCommand(error: unknown): unknown {
  const name = error instanceof Error ? /^command (.+) not found$/i.exec(error.message)?.[1] : undefined;
  if (name === undefined) return error;
  return new UsageError(`there is no command "${name.replaceAll(":", " ")}"; "fila --help" lists them`);
}
