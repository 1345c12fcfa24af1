// The bin as a stranger meets it: it says where it is and what to type, and leaves nothing behind.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { ServerProcess } from "./server-process.ts";

/**
 * Runs a curl line through a shell, as pasted. A machine without curl takes the line apart as the shell would, and sends
 * the same by fetch.
 */
async function curl(line: string): Promise<Record<string, string>> {
  const shell = async (script: string): Promise<string> => (await promisify(execFile)("sh", ["-c", script])).stdout;
  const there = await shell("command -v curl || echo none");
  if (there.trim() !== "none") return JSON.parse(await shell(line.replace("curl", "curl -sS --fail-with-body")));
  const [url, , header, , body] = (await shell(line.replace("curl", "printf '%s\\n'"))).split("\n");
  const [name, value] = (header ?? "").split(": ");
  const answer = await fetch(url ?? "", { method: "POST", headers: { [name ?? ""]: value ?? "" }, body: body ?? "" });
  assert.equal(answer.status, 200);
  return (await answer.json()) as Record<string, string>;
}

/** Whether any process of the group is left. */
function groupLives(leader: number): boolean {
  try {
    process.kill(-leader, 0);
    return true;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
    return false;
  }
}

describe("the server's bin", () => {
  test("prints its address and curl lines that work as they stand", async (t) => {
    const server = await ServerProcess.start(t);
    assert.match(server.run.output, new RegExp(`listens on 127\\.0\\.0\\.1:${server.port}\\b`));
    const lines = server.run.output.split("\n").filter((line) => line.trim().startsWith("curl "));
    assert.equal(lines.length, 2);
    assert.deepEqual(await curl(lines[0]!.trim()), { queueId: "orders" });
    const { messageId } = await curl(lines[1]!.trim());
    assert.match(messageId ?? "", /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const { messages } = await server.clients("grpc").service.lease({ queue: "orders" });
    assert.equal(Buffer.from(messages[0]?.message?.payload ?? []).toString(), "hello");
  });

  test("ends with 0 on SIGTERM and leaves no process", async (t) => {
    const server = await ServerProcess.start(t, { ownGroup: true });
    assert.ok(groupLives(server.pid));
    assert.equal(await server.stop(), 0);
    assert.ok(!groupLives(server.pid), "something of the server is left");
    await assert.rejects(fetch(server.url));
  });

  test("has the broker's own pid: killing it kills the broker", async (t) => {
    const server = await ServerProcess.start(t, { ownGroup: true });
    await server.kill();
    assert.equal(await server.run.ended, "SIGKILL");
    assert.ok(!groupLives(server.pid), "the pid was that of a parent");
    await assert.rejects(fetch(server.url));
  });
});
