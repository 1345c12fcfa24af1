// What follows a failure is decided by a script of the queue, in one place for workers in any language: what can never
// succeed is a dead letter at once, who asks to wait is waited for, and all else backs off.
import { connect, RetryAfter } from "@fila/sdk";

const name = "08-webhooks";
const onFailure = `
function on_failure(msg)
  local status = tonumber(string.match(msg.error, "^HTTP (%d+)"))
  if status == nil then
    return {} -- the retry policy of the queue
  end
  if status == 429 then
    return { action = "retry", delay_ms = msg.requested_delay_ms or 1000 }
  end
  if status >= 400 and status < 500 then
    return { action = "dlq" }
  end
  return { action = "retry", delay_ms = 50 * 2 ^ msg.attempts }
end`;

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
// One may be left of an earlier run.
await fila.admin.deleteQueue(name).catch(() => undefined);
await fila.admin.createQueue(name, { onFailure, maxAttempts: 2, initialBackoff: "20ms" });

/** What each address answers, attempt by attempt. */
const answers: Readonly<Record<string, readonly (Error | "ok")[]>> = {
  gone: [new Error("HTTP 404 not found")],
  busy: [new RetryAfter("200ms", "HTTP 429 slow down"), "ok"],
  down: [new Error("HTTP 503"), new Error("HTTP 503"), new Error("HTTP 503"), "ok"],
  odd: [new Error("connection reset"), new Error("connection reset")],
};

const stories = new Map<string, string[]>();
let untilSettled = Object.keys(answers).length;
const settled = Promise.withResolvers<undefined>();
const lastAt = new Map<string, number>();
await using worker = fila.work(name, ({ fairnessKey: address, attempt, leasedAt }) => {
  const waited = leasedAt.getTime() - (lastAt.get(address) ?? leasedAt.getTime());
  lastAt.set(address, leasedAt.getTime());
  const answer = answers[address]![attempt]!;
  const what = answer === "ok" ? "ok" : answer.message;
  stories.set(address, [...(stories.get(address) ?? []), attempt === 0 ? what : `after ${waited} ms ${what}`]);
  if (attempt === answers[address]!.length - 1 && --untilSettled === 0) settled.resolve(undefined);
  if (answer !== "ok") throw answer;
});
worker.finished.catch(settled.reject);

for (const address of Object.keys(answers)) await fila.enqueue(name, "event", { fairnessKey: address });
await settled.promise;
await worker.stop();

for (const address of Object.keys(answers)) console.log(`${address}  ${stories.get(address)!.join(", ")}`);
console.log("\ndead letters:");
for await (const { fairnessKey, failure } of fila.admin.listMessages(`${name}.dlq`)) {
  console.log(`${fairnessKey}  ${failure?.reason}: ${failure?.lastError}`);
}
