// What happens when nobody takes the output any more.
import { exitCodes } from "./exit-codes.ts";

/**
 * Without a listener, and with that of oclif, an error of stdout ends the process with a stack and without releasing
 * anything. A
 * reader that left is quiet; anything else, such as a full disk, is told once, on stderr, as stdout is what broke.
 */
export function reportBrokenOutput(): void {
  process.stdout.removeAllListeners("error");
  let told = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (told || error.code === "EPIPE") return;
    told = true;
    process.exitCode = exitCodes.error;
    process.stderr.write(`fila: the output cannot be written: ${error.message}\n`);
  });
  // Talk that nobody hears is no reason to end.
  process.stderr.on("error", () => {});
}
