// A worker of the SDK whose handler blocks the event loop until a byte comes on standard input:
// node blocked-worker-child.ts URL QUEUE MODE
//   waits    then waits for its signal, and prints why it aborted
//   returns  then returns at once, as one who knows nothing of it
// What `onError` is told is printed.
import { readSync } from "node:fs";
import { connect } from "@fila/sdk";

const [, , url = "", queue = "", mode = ""] = process.argv;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

connect(url).work(
  queue,
  async ({ attempt }, { signal }) => {
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    // Written synchronously, or it would wait for the loop.
    say(`begun ${attempt}`);
    await new Promise((resolve) => setImmediate(resolve));
    readSync(0, Buffer.alloc(1));
    if (mode === "returns") return;
    await aborted;
    say(`aborted ${(signal.reason as Error).name}`);
  },
  { concurrency: 1, prefetch: 0, visibilityTimeout: "1s", onError: (error) => say(`told ${(error as Error).name}`) },
);
