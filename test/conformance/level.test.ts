import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import { type Adapter, storageSuite } from "./storage-suite.ts";

const level = (name: string, writeBufferBytes: number): Adapter => ({
  name,
  create: async () => {
    const directory = await mkdtemp(join(tmpdir(), "fila-conformance-"));
    return {
      open: () => openLevelStorage(directory, { writeBufferBytes }),
      remove: () => rm(directory, { recursive: true }),
    };
  },
});

storageSuite(level("level", 64 * 1024 * 1024));
// So small that every test also runs through new logs, tables and compactions.
storageSuite(level("level with a tiny write buffer", 64 * 1024));
