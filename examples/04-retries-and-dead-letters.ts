// Five messages, and what becomes of each when its handler fails: again after a growing backoff, again when the handler
// says, or into the dead-letter queue, with the reason. What is there is looked at, and one is sent back.
import { connect, DeadLetter, json, queue, RetryAfter, type MessageInfo } from "@fila/sdk";

interface Email {
  readonly to: string;
}
const emails = queue("04-emails", json<Email>());

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
// One may be left of an earlier run.
await fila.admin.deleteQueue(emails.name).catch(() => undefined);
await fila.admin.createQueue(emails.name, { maxAttempts: 4, initialBackoff: "100ms" });

let repaired = false;

/** A mail server with all kinds of trouble. */
function send(to: string, attempt: number): void {
  if (!to.includes("@")) throw new DeadLetter("no address");
  if (to === "ada@busy.example" && attempt < 2) throw new Error("busy.example is busy");
  if (to === "eve@grey.example" && attempt < 1) throw new RetryAfter("300ms", "grey.example asks to wait 300 ms");
  if (to === "carol@down.example" && !repaired) throw new Error("down.example does not answer");
}

/** What happened to each, by fairness key; the keys are names here. */
const stories = new Map<string, string[]>();
const firstDelivery = new Map<string, number>();
let untilSettled = 5;
let settled = Promise.withResolvers<undefined>();

function tell({ fairnessKey: name, leasedAt }: MessageInfo, what: string, isEnd: boolean): void {
  const lines = stories.get(name) ?? [];
  stories.set(name, lines);
  const first = firstDelivery.get(name) ?? leasedAt.getTime();
  firstDelivery.set(name, first);
  lines.push(`${String(leasedAt.getTime() - first).padStart(5)} ms  ${what}`);
  if (isEnd && --untilSettled === 0) settled.resolve(undefined);
}

function work() {
  const worker = fila.work(
    emails,
    (message) => {
      send(message.payload.to, message.attempt);
      tell(message, "sent", true);
    },
    {
      // Told of what handlers throw, and of payloads that cannot be decoded.
      onError(error, message) {
        const { message: text, name } = error as Error;
        // The fourth attempt is the last, of these two sorts the first.
        const isLast = message.attempt === 3 || ["DeadLetter", "FilaError"].includes(name);
        const readable = text.replace(message.id, "...").replace(/(decoded:).*/, "$1 ...");
        tell(message, `${readable}${isLast ? " -> dead letter" : ""}`, isLast);
      },
    },
  );
  worker.finished.catch(settled.reject);
  return worker;
}

for (const to of ["ada@busy.example", "eve@grey.example", "bob", "carol@down.example"]) {
  await fila.enqueue(emails, { to }, { fairnessKey: to.split("@")[0] });
}
// By a producer that does not know the codec.
await fila.enqueue(emails.name, "To: dan", { fairnessKey: "dan" });

const worker = work();
await settled.promise;
// Waits for the answers to what was acked and nacked.
await worker.stop();
for (const [name, lines] of [...stories].toSorted()) {
  lines.forEach((line, at) => console.log(`${(at === 0 ? name : "").padEnd(5)} ${line}`));
}

const deadLetters = `${emails.name}.dlq`;
console.log(`\nin ${deadLetters}:`);
for await (const { fairnessKey, attempt, failure } of fila.admin.listMessages(deadLetters)) {
  const error = failure?.lastError.replace(/message \S+ (.*decoded:).*/, "message ... $1 ...");
  console.log(`${fairnessKey.padEnd(5)} ${failure?.reason.padEnd(12)} attempts ${attempt}  ${error}`);
}

// Somebody has repaired that server: what failed of it goes back.
repaired = true;
const filter = { errorContains: "down.example" };
console.log("");
for (const dryRun of [true, false]) {
  for await (const { redriven, done } of fila.admin.redrive(deadLetters, { filter, dryRun })) {
    if (done) console.log(`redrive of "${filter.errorContains}" ${dryRun ? "would move" : "has moved"} ${redriven}`);
  }
}
stories.clear();
firstDelivery.clear();
untilSettled = 1;
settled = Promise.withResolvers();
await using again = work();
await settled.promise;
await again.stop();
for (const [name, lines] of stories) console.log(`${name.padEnd(5)} ${lines.join()}`);

const { depth } = await fila.admin.stats(deadLetters);
console.log(`messages left: ${(await fila.admin.stats(emails.name)).depth}, dead letters left: ${depth}`);
