// What the figures depend on and a reader cannot guess.
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { cpus } from "node:os";
import path from "node:path";

export interface Machine {
  readonly node: string;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly directory: string;
  readonly fileSystem: string;
  readonly device: string;
  /** Appends of 1 KiB, each followed by fdatasync, per second. */
  readonly fdatasyncPerSecond: number;
}

export function describeMachine(directory: string): Machine {
  const { fileSystem, device } = mountOf(directory);
  if (fileSystem === "tmpfs" || fileSystem === "ramfs")
    throw new Error(`${directory} is on ${fileSystem}, where a sync costs nothing; choose a real disk with --dir`);
  const processors = cpus();
  return {
    node: process.version,
    cpus: processors.length,
    cpuModel: processors[0]?.model ?? "unknown",
    directory,
    fileSystem,
    device,
    fdatasyncPerSecond: fdatasyncRate(directory),
  };
}

/** Only Linux tells by a file; elsewhere the reader must know. */
function mountOf(directory: string): { fileSystem: string; device: string } {
  let best = { fileSystem: "unknown", device: "unknown" };
  let longest = -1;
  for (const line of mounts().split("\n")) {
    const [device = "", point = "", fileSystem = ""] = line.split(" ");
    const inside = directory === point || directory.startsWith(point.endsWith("/") ? point : `${point}/`);
    if (point !== "" && inside && point.length >= longest) {
      longest = point.length;
      best = { fileSystem, device };
    }
  }
  return best;
}

function mounts(): string {
  try {
    return readFileSync("/proc/mounts", "utf8");
  } catch {
    return "";
  }
}

/** Measured for one second; it drifts, which is why the pair rule exists. */
export function fdatasyncRate(directory: string): number {
  const file = path.join(directory, "fdatasync-rate");
  const block = Buffer.alloc(1024, 0x5a);
  const fd = openSync(file, "w");
  try {
    const start = performance.now();
    let syncs = 0;
    let passed = 0;
    do {
      writeSync(fd, block);
      fdatasyncSync(fd);
      syncs++;
      passed = performance.now() - start;
    } while (passed < 1000);
    return Math.round((syncs * 1000) / passed);
  } finally {
    closeSync(fd);
    rmSync(file);
  }
}
