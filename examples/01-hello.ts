// The whole life of a message: a producer stores it, a worker is given it, and the end of its handler acknowledges it.
import { connect, json, queue } from "@fila/sdk";

interface Email {
  readonly to: string;
  readonly template: string;
}
const emails = queue("01-emails", json<Email>());

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
// One may be left of an earlier run.
await fila.admin.deleteQueue(emails.name).catch(() => undefined);
await fila.admin.createQueue(emails.name);

// Resolves when the message is on disk.
await fila.enqueue(emails, { to: "ada@example.com", template: "welcome" }, { fairnessKey: "tenant-42" });

// The broker leases the message to this worker alone. Returning acks it: it is never delivered again. Throwing nacks it.
const sent = Promise.withResolvers<undefined>();
await using worker = fila.work(emails, ({ payload, fairnessKey }) => {
  console.log(`send "${payload.template}" to ${payload.to}, for ${fairnessKey}`);
  sent.resolve(undefined);
});
await sent.promise;

// Waits for handlers under way and their acks.
await worker.stop();
const { depth } = await fila.admin.stats(emails.name);
console.log(`messages left: ${depth}`);

// Prints:
// send "welcome" to ada@example.com, for tenant-42
// messages left: 0
