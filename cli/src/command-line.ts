// Finds the command and runs it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Config, run } from "@oclif/core";
import { assertNamesCommand, unexpectedArgument, wantsJson, type Names } from "./arguments.ts";
import { reportOf } from "./command-failure.ts";
import { stdio } from "./stdio.ts";

/**
 * Runs the command that the arguments name, in the order that `commandFirst` gives. Never rejects; the exit status is
 * set.
 */
export async function runCommandLine(args: string[], config: Config): Promise<void> {
  const io = stdio();
  const names: Names = {
    commands: config.commandIDs.map((id) => id.replaceAll(":", " ")),
    topics: config.topics.map(({ name }) => name),
  };
  try {
    assertNamesCommand(args, names);
    await run(args, config);
  } catch (error) {
    if (isExit(error)) {
      io.exitCode = error.oclif.exit;
      return;
    }
    const report = reportOf(isNoCommand(error) ? unexpectedArgument(args, names) : error);
    io.exitCode = report.exitCode;
    if (wantsJson(args)) io.stdout.write(`${JSON.stringify({ error: report })}\n`);
    else io.stderr.write(`fila: ${report.message}\n`);
  }
}

/** `mainUrl` tells a checkout (src/main.ts, commands as TypeScript, no manifest) from an installed package. */
export async function loadConfig(mainUrl: string): Promise<Config> {
  const fromSource = mainUrl.endsWith("/src/main.ts");
  const root = new URL("..", mainUrl);
  const pjson = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as PackageJson;
  const folder = fromSource ? "./src" : "./dist";
  const extension = fromSource ? "ts" : "js";
  pjson.oclif = {
    ...pjson.oclif,
    commands: { strategy: "pattern", target: `${folder}/commands` },
    helpClass: `${folder}/help.${extension}`,
    additionalHelpFlags: ["-h"],
    topics: {
      queue: { description: "Create, list, inspect, change and delete queues." },
      key: { description: "Fairness keys: weights, caps and pauses of their own." },
      config: { description: "The configuration that is kept in the broker." },
      dedup: { description: "Idempotency keys that a queue remembers." },
      hook: { description: "Scripts of a queue: set, try and look after them." },
    },
  };
  return Config.load({
    root: fileURLToPath(root),
    pjson: pjson as unknown as NonNullable<Parameters<typeof Config.load>[0] & object> extends { pjson?: infer P }
      ? P
      : never,
    ignoreManifest: fromSource,
  });
}

interface PackageJson {
  oclif: Record<string, unknown>;
}

function isExit(error: unknown): error is { oclif: { exit: number } } {
  return error instanceof Error && (error as { code?: unknown }).code === "EEXIT";
}

/** Of names that `assertNamesCommand` has let pass. */
function isNoCommand(error: unknown): boolean {
  return error instanceof Error && /^command .+ not found$/s.test(error.message);
}
