// Opens a store as a user without rights, and says what came of it.
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import { StorageError } from "../../server/src/storage/port.ts";

const NOBODY = 65534;
// The real user too: that is the one whose rights access() looks at.
if (process.getuid?.() === 0) process.setuid?.(NOBODY);
const answer = await openLevelStorage(process.argv[2] ?? "").then(
  () => "opened",
  (reason: unknown) => (reason instanceof StorageError ? `${reason.code} ${reason.message}` : String(reason)),
);
process.send?.(answer);
