// The real server in a process that is asked about its own memory.
import { Program } from "./program.ts";
import type { ProfileFile } from "./program.ts";
import type { MemoryInUse, ResidentServerTask } from "./resident-server.ts";

const residentServer = new URL("./resident-server.ts", import.meta.url);

export interface ResidentBroker {
  readonly url: string;
  readonly pid: number;
  /** After a full collection. */
  memory(): Promise<MemoryInUse>;
  stop(): Promise<void>;
}

/** Without a cache of payloads, which would be counted with what is asked for. */
export async function startResidentBroker(dataDir: string, profile?: ProfileFile): Promise<ResidentBroker> {
  const settings = {
    "storage.data_dir": dataDir,
    "storage.payload_cache_bytes": 0,
    "telemetry.log_level": "warn",
  } as const;
  const task: ResidentServerTask = { settings };
  const server = Program.start(residentServer, task, profile, ["--expose-gc"]);
  const stop = (): Promise<void> => server.stop(profile === undefined ? "SIGKILL" : "SIGTERM");
  try {
    const { url } = (await server.answer()) as { url: string };
    return {
      url,
      pid: server.pid,
      memory: () => {
        const answer = server.answer();
        server.send("memory");
        return answer as Promise<MemoryInUse>;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Bytes that are in use, of the heap and outside of it. */
export const bytesInUse = ({ heapUsed, arrayBuffers }: MemoryInUse): number => heapUsed + arrayBuffers;
