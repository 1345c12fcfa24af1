// A web server's access log becomes work: one message per line, the client's address as its fairness key, so that a
// client with many lines does not hold up the others. Reads a file, or stdin:
//   npm run example 03 access.log
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { connect } from "@fila/sdk";

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
const name = "03-access-log";
// One may be left of an earlier run.
await fila.admin.deleteQueue(name).catch(() => undefined);
await fila.admin.createQueue(name);

const file = process.argv[2];
const input = file === undefined || file === "-" ? process.stdin : createReadStream(file);

/** address - user [time] "METHOD path protocol" status bytes ... */
const logLine =
  /^(?<client>\S+) \S+ \S+ \[[^\]]*\] "(?<method>\S+) (?<path>\S+)[^"]*" (?<status>\d{3}) (?<bytes>\d+|-)/;

async function* messages() {
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    if (line !== "") yield { payload: line, fairnessKey: /^\S+/.exec(line)?.[0] };
  }
}
let sent = 0;
for await (const result of fila.enqueueMany(name, messages())) {
  if (!result.ok) throw result.error;
  sent++;
}

// The work: each line is read, and counted by what it says.
const summary = { served: 0, bytes: 0, unreadable: 0 };
const statuses = new Map<string, number>();
const perClient = new Map<string, number>();
/** How many lines were served before some client got a second one. */
let firstRound: number | undefined;
const done = Promise.withResolvers<undefined>();
if (sent === 0) done.resolve(undefined);

await using worker = fila.work(
  name,
  ({ payload, fairnessKey }) => {
    const served = perClient.get(fairnessKey) ?? 0;
    if (served > 0) firstRound ??= summary.served;
    perClient.set(fairnessKey, served + 1);
    const fields = logLine.exec(new TextDecoder().decode(payload))?.groups;
    if (fields === undefined) summary.unreadable++;
    else {
      const status = fields["status"] ?? "";
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      summary.bytes += Number(fields["bytes"]) || 0;
    }
    if (++summary.served === sent) done.resolve(undefined);
  },
  // Handlers are started in the order of deliveries; one at a time they also end in it.
  { concurrency: 1, prefetch: 256 },
);
worker.finished.catch(done.reject);
await done.promise;

const most = [...perClient].sort(([, a], [, b]) => b - a).slice(0, 3);
const codes = [...statuses].sort(([, a], [, b]) => b - a);
console.log(`lines           ${sent}, of which ${summary.unreadable} are not in the usual form`);
console.log(`clients         ${perClient.size}`);
console.log(`most lines      ${most.map(([client, lines]) => `${client} ${lines}`).join(", ")}`);
console.log(`statuses        ${codes.map(([status, lines]) => `${status} ${lines}`).join(", ")}`);
console.log(`bytes served    ${summary.bytes}`);
console.log(
  `fairness        the first ${firstRound ?? sent} lines served came from ${firstRound ?? sent} different clients`,
);
