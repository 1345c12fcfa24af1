// Messages in time: one for later, one for a moment, one that nobody needs after a while. And one that a producer sends
// twice, because it did not hear the first answer, is stored once.
import { connect } from "@fila/sdk";

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
const name = "05-reminders";
// One may be left of an earlier run.
await fila.admin.deleteQueue(name).catch(() => undefined);
await fila.admin.createQueue(name);

// Its time to live is over before it may be delivered: nobody ever gets it.
await fila.enqueue(name, "too late", { delay: "500ms", ttl: "100ms" });
const moment = new Date(Date.now() + 600);
await fila.enqueue(name, "at a moment, 600 ms from now", { deliverAt: moment });
await fila.enqueue(name, "in 300 ms", { delay: "300ms" });
await fila.enqueue(name, "now");

// The answer to the first was lost, let us say: the same key makes the second one harmless.
const idempotencyKey = "order-17/confirmation";
const first = await fila.enqueueOnce(name, "order 17", { idempotencyKey });
const second = await fila.enqueueOnce(name, "order 17", { idempotencyKey });
console.log(`enqueued "order 17"        ${first.duplicate ? "a duplicate" : "stored"}`);
const same = second.id === first.id ? "the id of the first" : "another id";
console.log(`enqueued "order 17" again  ${second.duplicate ? "a duplicate" : "stored"}, ${same}`);

/** When those may be delivered that are not for now. */
const due = new Map([
  ["in 300 ms", (enqueuedAt: Date) => enqueuedAt.getTime() + 300],
  ["at a moment, 600 ms from now", () => moment.getTime()],
]);
let expected = 4;
const done = Promise.withResolvers<undefined>();
await using worker = fila.work(name, ({ payload, enqueuedAt, leasedAt }) => {
  const text = new TextDecoder().decode(payload);
  const dueAt = due.get(text)?.(enqueuedAt);
  const behind = leasedAt.getTime() - (dueAt ?? 0);
  const when = dueAt === undefined ? "at once" : behind < 0 ? `${-behind} ms early` : `${behind} ms after it was due`;
  console.log(`delivered ${JSON.stringify(text).padEnd(32)} ${when}`);
  if (--expected === 0) done.resolve(undefined);
});
worker.finished.catch(done.reject);
await done.promise;

await worker.stop();
const { depth } = await fila.admin.stats(name);
console.log(`messages left: ${depth}`);
