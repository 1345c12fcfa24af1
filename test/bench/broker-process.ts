// The real broker, in its own process, as users start it.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { endOf, nodeArguments, track } from "./program.ts";
import type { ProfileFile } from "./program.ts";

const main = fileURLToPath(new URL("../../server/src/main.ts", import.meta.url));

export interface BrokerProcess {
  readonly url: string;
  readonly pid: number;
  /** When it was spawned, on the clock of `performance.now()`. */
  readonly spawnedMs: number;
  stop(signal: NodeJS.Signals): Promise<void>;
}

export async function startBroker(
  dataDir: string,
  settings: Readonly<Record<string, string>> = {},
  profile?: ProfileFile,
): Promise<BrokerProcess> {
  const spawnedMs = performance.now();
  const child = track(
    spawn(process.execPath, [...nodeArguments(profile), main], {
      // A directory of its own, so that no fila.toml of somebody else is read.
      cwd: path.dirname(dataDir),
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...environmentWithoutFila(),
        FILA_DATA_DIR: dataDir,
        FILA_SERVER_LISTEN_ADDR: "127.0.0.1:0",
        FILA_SERVER_DRAIN_DEADLINE_MS: "0",
        FILA_TELEMETRY_LOG_LEVEL: "warn",
        ...settings,
      },
    }),
  );
  const url = await greeted(child);
  return { url, pid: child.pid!, spawnedMs, stop: (signal) => endOf(child, signal) };
}

async function greeted(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  for await (const line of lines) {
    const found = /listens on (\S+),/.exec(line);
    if (found !== null) {
      child.stdout!.resume();
      return `http://${found[1]}`;
    }
  }
  throw new Error("the broker ended before it listened");
}

function environmentWithoutFila(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("FILA_")));
}
