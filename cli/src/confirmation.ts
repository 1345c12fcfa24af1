// Asking before something goes that cannot come back.
import { createInterface } from "node:readline/promises";
import { CommandFailure, UsageError } from "./command-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import type { Stdio } from "./stdio.ts";

export function canAsk({ stdin, stderr }: Stdio): boolean {
  return stdin.isTTY === true && stderr.isTTY === true;
}

/** Throws UsageError where nobody can be asked. */
export function assertCanAsk(io: Stdio, what: string): void {
  if (!canAsk(io)) throw new UsageError(`${what} cannot be undone, and there is no terminal to ask; add --yes`);
}

/** Throws CommandFailure unless the answer is yes. Anything else is a no, the end of the input and Ctrl-C too. */
export async function confirm({ stdin, stderr }: Stdio, question: string): Promise<void> {
  using terminal = createInterface({ input: stdin, output: stderr });
  const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
  const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]);
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new CommandFailure("canceled", "NOT_CONFIRMED", "nothing was changed", exitCodes.error);
}
