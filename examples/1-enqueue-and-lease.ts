// The whole life of a message: a producer stores it, a worker leases it, does the work and acknowledges it.
import { connect } from "@fila/sdk";

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
await fila.admin.createQueue("1-emails");

// Resolves when the message is on disk.
await fila.enqueue("1-emails", JSON.stringify({ to: "ada@example.com" }), { headers: { template: "welcome" } });

// Waits up to five seconds for a first message. The lease holds it for this worker alone until it is settled or expires.
const [lease] = await fila.lease("1-emails", { wait: "5s", visibilityTimeout: "30s" });
if (lease === undefined) throw new Error("there was no message");
const { to } = JSON.parse(new TextDecoder().decode(lease.payload)) as { to: string };
console.log(`send "${lease.headers["template"]}" to ${to}`);

// From here on it is never delivered again.
await lease.ack();
const { depth } = await fila.admin.stats("1-emails");
console.log(`messages left: ${depth}`);

// Prints:
// send "welcome" to ada@example.com
// messages left: 0
