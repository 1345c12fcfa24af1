// One tenant floods the queue; the others are served as if it had not. Weights give a tenant more than one turn a round.
import { connect } from "@fila/sdk";

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
await fila.admin.createQueue("2-jobs");

for (let job = 1; job <= 6; job++) await fila.enqueue("2-jobs", `job ${job}`, { fairnessKey: "whale" });
for (let job = 1; job <= 2; job++) await fila.enqueue("2-jobs", `job ${job}`, { fairnessKey: "ant" });
for (let job = 1; job <= 4; job++) await fila.enqueue("2-jobs", `job ${job}`, { fairnessKey: "bee", weight: 2 });

const text = new TextDecoder();
for (const lease of await fila.lease("2-jobs", { maxMessages: 12 })) {
  console.log(`${lease.fairnessKey}: ${text.decode(lease.payload)}`);
  await lease.ack();
}

// Prints:
// whale: job 1
// ant: job 1
// bee: job 1
// bee: job 2
// whale: job 2
// ant: job 2
// bee: job 3
// bee: job 4
// whale: job 3
// whale: job 4
// whale: job 5
// whale: job 6
