import { type Shard, StorageError } from "../storage/port.ts";

/** Like `getMany`, but where the store finds one value damaged and then gives none, the others are read without it. */
export async function readMany(shard: Shard, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
  try {
    return await shard.getMany(keys);
  } catch (error) {
    if (!isCorrupt(error)) throw error;
  }
  const values: (Uint8Array | undefined)[] = [];
  for (const key of keys) {
    const read = shard.getMany([key]).catch((error: unknown) => {
      if (isCorrupt(error)) return [];
      throw error;
    });
    values.push((await read)[0]);
  }
  return values;
}

function isCorrupt(error: unknown): boolean {
  return error instanceof StorageError && error.code === "corrupt";
}
