// A process that writes numbered values as its parent asks, so that the parent can take its disk away, and kill it.
import { Level } from "level";
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import { StorageError } from "../../server/src/storage/port.ts";

/** raw: LevelDB as it is, to show the trap; adapter: what Fila uses. */
export type Mode = "raw" | "adapter";
export type Request =
  | { readonly open: { readonly mode: Mode; readonly directory: string; readonly writeBufferBytes: number } }
  | { readonly write: { readonly from: number; readonly to: number; readonly valueBytes: number } }
  | { readonly close: true };

export interface Answer {
  readonly acknowledged: readonly number[];
  /** The error of each that was not, as code and message. */
  readonly rejected: readonly { readonly number: number; readonly code: string; readonly message: string }[];
}

interface Target {
  put(key: Uint8Array, value: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export function keyOf(number: number): Uint8Array {
  return new TextEncoder().encode(`number ${String(number).padStart(8, "0")}`);
}

async function open(mode: Mode, directory: string, writeBufferBytes: number): Promise<Target> {
  if (mode === "adapter") {
    const storage = await openLevelStorage(directory, { writeBufferBytes });
    const shard = await storage.openShard(1);
    return { put: (key, value) => shard.commit([{ put: key, value }]), close: () => storage.close() };
  }
  const encodings = { keyEncoding: "view", valueEncoding: "view" } as const;
  const level = new Level<Uint8Array, Uint8Array>(directory, {
    ...encodings,
    writeBufferSize: writeBufferBytes,
    compression: false,
  });
  await level.open();
  return { put: (key, value) => level.put(key, value, { sync: true }), close: () => level.close() };
}

async function answer(target: Target, from: number, to: number, valueBytes: number): Promise<Answer> {
  const acknowledged: number[] = [];
  const rejected: { number: number; code: string; message: string }[] = [];
  for (let number = from; number <= to; number++) {
    try {
      await target.put(keyOf(number), new Uint8Array(valueBytes).fill(number % 255 || 1));
      acknowledged.push(number);
    } catch (reason) {
      const code = reason instanceof StorageError ? reason.code : "raw";
      rejected.push({ number, code, message: String(reason) });
    }
  }
  return { acknowledged, rejected };
}

if (import.meta.main) {
  let target: Target | undefined;
  const handle = async (request: Request): Promise<Answer> => {
    if ("open" in request)
      target = await open(request.open.mode, request.open.directory, request.open.writeBufferBytes);
    else if (target === undefined) throw new Error("nothing is open");
    else if ("write" in request) return answer(target, request.write.from, request.write.to, request.write.valueBytes);
    else await target.close();
    return { acknowledged: [], rejected: [] };
  };
  process.on("message", (request: Request) => {
    handle(request).then(
      (result) => process.send?.(result),
      (reason: unknown) => {
        process.send?.({
          acknowledged: [],
          rejected: [
            { number: 0, code: reason instanceof StorageError ? reason.code : "raw", message: String(reason) },
          ],
        } satisfies Answer);
      },
    );
  });
}
