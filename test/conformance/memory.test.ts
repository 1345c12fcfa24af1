import { MemoryDisk, openMemoryStorage } from "../../server/src/storage/memory/memory-storage.ts";
import { storageSuite } from "./storage-suite.ts";

storageSuite({
  name: "memory",
  // A test never waits on memory, so the adapter's functions only wrap it in promises.
  create: () => {
    const disk = new MemoryDisk();
    return Promise.resolve({ open: async () => openMemoryStorage({ disk }), remove: () => Promise.resolve() });
  },
});
