import assert from "node:assert/strict";
import test from "node:test";
import { withBroker } from "../fake/with-broker.ts";
import { connect } from "../index.ts";
import { serverUrl } from "../transport/server-url.ts";

test("queues: create, list over pages, stats, delete", () =>
  withBroker(async (fila) => {
    for (const name of ["a", "b", "c", "d"]) await fila.admin.createQueue(name, { visibilityTimeout: "1m" });
    await assert.rejects(fila.admin.createQueue("a"), { code: "already_exists" });
    await assert.rejects(fila.admin.createQueue(""), { reason: "INVALID_QUEUE_NAME" });
    const names: string[] = [];
    for await (const queue of fila.admin.listQueues()) names.push(queue.name);
    assert.deepEqual(names, ["a", "b", "c", "d", "q"]);
    await fila.enqueue("a", "x");
    assert.equal((await fila.admin.stats("a")).depth, 1);
    await fila.admin.deleteQueue("a");
    await assert.rejects(fila.admin.stats("a"), { code: "not_found", reason: "QUEUE_NOT_FOUND" });
  }));

test("health", () =>
  withBroker(async (fila, broker) => {
    for (const [status, told] of [
      [1, "serving"],
      [2, "not_serving"],
      [0, "unknown"],
    ] as const) {
      broker.health = status;
      assert.equal(await fila.admin.health(), told);
    }
  }));

test("connect is lazy and refuses what is no address", async () => {
  assert.throws(() => connect("http://"), { code: "invalid_argument", reason: "INVALID_URL" });
  assert.throws(() => connect("x", { requestTimeout: "soon" as "1s" }), { reason: "INVALID_DURATION" });
  await connect("127.0.0.1:1").close();
});

test("an address is host and port, with or without its scheme", () => {
  const addresses: Record<string, string> = {
    localhost: "http://localhost:5555",
    "localhost:80": "http://localhost",
    "[::1]": "http://[::1]:5555",
    "10.0.0.1:1234": "http://10.0.0.1:1234",
    "http://broker": "http://broker",
    "https://broker/": "https://broker",
    "HTTP://broker:7": "http://broker:7",
  };
  for (const [text, origin] of Object.entries(addresses)) assert.equal(serverUrl(text).origin, origin, text);
  const refused: Record<string, RegExp> = {
    "": /^"" is no address/,
    "ftp://broker": /begins with ftp:\/\//,
    "localhost:5555/path": /something behind the port/,
    "localhost:5555?x": /something behind the port/,
    "http://ada:secret@broker": /^"http:\/\/\.\.\.@broker" has a user/,
    "localhost:99999": /is no address/,
    "::1": /is no address/,
  };
  for (const [text, message] of Object.entries(refused)) {
    assert.throws(() => serverUrl(text), { code: "invalid_argument", reason: "INVALID_URL", message }, text);
  }
});

test("TLS against a port without it is told as that", () =>
  withBroker(async (_fila, _broker, url) => {
    await using fila = connect(url.replace("http:", "https:"));
    const told = new RegExp(`^cannot reach a Fila server at https://.*: nothing there speaks TLS; write ${url}`);
    await assert.rejects(fila.admin.stats("q"), { reason: "CONNECTION_FAILED", message: told });
  }));
