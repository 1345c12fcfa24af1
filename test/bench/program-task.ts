// The side of a program that was started by `program.ts`.

/** Without its parent a program has no reason to be. */
process.on("disconnect", () => process.exit(1));
// By exit, not by the signal itself, so that a CPU profile is still written.
process.on("SIGTERM", () => process.exit(0));

/** What a program does with its task; the parent and the program agree on its shape by one interface. */
type Work<Result> = (task: never) => Promise<Result>;

/** Says something to the parent, and resolves when it is on its way. */
export function say(value: unknown): Promise<void> {
  return send({ value });
}

/** Waits for the task, does it, says its result, and ends the process. */
export async function doTask(work: Work<unknown>): Promise<void> {
  await beginTask(async (task) => {
    await say(await work(task));
    process.exit(0);
  });
}

/** Waits for the task and does it; what it opened keeps the process alive. */
export async function beginTask(work: Work<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<never>();
  process.once("message", (message: { task: never }) => resolve(message.task));
  try {
    await work(await promise);
  } catch (error) {
    await send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    process.exit(1);
  }
}

function send(message: object): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}
