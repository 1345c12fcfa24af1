// `buf curl` knows nothing of Fila: it asks server reflection for the schema, then calls, in each of the three protocols
// over cleartext HTTP/2. It is an npm package, so this is part of `npm test`.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { ServerProcess } from "../e2e/server-process.ts";
import { BufCurl } from "./buf-curl.ts";
import { suiteScope } from "./suite-scope.ts";

interface Delivered {
  readonly message: {
    readonly id: string;
    readonly payload?: string;
    readonly metadata: { readonly attemptCount?: number };
  };
  readonly leaseToken: string;
}

const hello = Buffer.from("hello").toString("base64");

for (const protocol of ["grpc", "grpcweb", "connect"] as const) {
  describe(`buf curl over ${protocol}`, () => {
    const scope = suiteScope();
    let server: ServerProcess;
    let buf: BufCurl;
    before(async () => {
      server = await ServerProcess.start(scope);
      buf = new BufCurl(server.url, protocol);
    });

    test("lists services and methods", async () => {
      const services = (await buf.run("", ["--list-services"])).lines;
      for (const service of ["fila.v1.FilaService", "fila.v1.FilaAdmin", "grpc.health.v1.Health"])
        assert.ok(services.includes(service), services.join("\n"));
      const methods = (await buf.run("", ["--list-methods"])).lines;
      for (const method of ["Enqueue", "Consume", "StreamLease"])
        assert.ok(methods.includes(`fila.v1.FilaService/${method}`), methods.join("\n"));
    });

    for (const version of ["grpc-v1", "grpc-v1alpha"]) {
      test(`finds a method's schema by reflection ${version}`, async () => {
        const { lines } = await buf.run("fila.v1.FilaAdmin/ListQueues", ["--reflect-protocol", version, "-d", "{}"]);
        assert.ok(JSON.parse(lines.join("\n")));
      });
    }

    test("creates a queue, enqueues, leases and settles", async () => {
      assert.deepEqual(await buf.call("FilaAdmin/CreateQueue", { name: "unary" }), { queueId: "unary" });
      const { messageId } = await buf.call("FilaService/Enqueue", {
        queue: "unary",
        payload: hello,
        headers: { a: "b" },
      });
      const { messages } = await buf.call("FilaService/Lease", { queue: "unary" });
      const [{ message, leaseToken }] = messages as [Delivered];
      assert.deepEqual([message.id, message.payload], [messageId, hello]);
      const settlements = [{ messageId, leaseToken, action: "SETTLEMENT_ACTION_ACK" }];
      assert.deepEqual(await buf.call("FilaService/Settle", { queue: "unary", settlements }), { results: [{}] });
      assert.equal((await server.stats("unary")).depth, 0);
    });

    test("shows an error with its code, its text and its reason, and fails", async () => {
      const { code, errors } = await buf.run("fila.v1.FilaService/Enqueue", ["-d", '{"queue":"nobody"}']);
      assert.notEqual(code, 0);
      const error = JSON.parse(errors) as { code: string; message: string; details: { type: string; value: string }[] };
      assert.equal(error.code, "not_found");
      assert.match(error.message, /^queue "nobody" does not exist/);
      assert.equal(error.details[0]?.type, "google.rpc.ErrorInfo");
      assert.match(Buffer.from(error.details[0].value, "base64").toString(), /QUEUE_NOT_FOUND/);
    });

    test("consumes a stream, and what it did not settle comes again", async (t) => {
      await server.ok("FilaAdmin/CreateQueue", { name: "consumed" });
      for (const attempts of [0, 1]) {
        const stream = buf.open(t, "FilaService/Consume", { queue: "consumed" });
        stream.end();
        // Once it finds a consumer that waits, and once the consumer finds it waiting.
        if (attempts === 0) {
          await server.until(
            () => server.stats("consumed"),
            ({ activeConsumers }) => activeConsumers === 1,
          );
          await server.ok("FilaService/Enqueue", { queue: "consumed", payload: hello });
        }
        const { message } = await stream.next((answer) => answer["message"] !== undefined);
        const { payload, metadata } = message as Delivered["message"];
        assert.deepEqual([payload, metadata.attemptCount ?? 0], [hello, attempts]);
        await stream.interrupt();
      }
    });

    test("leases and settles over one stream in both directions", async (t) => {
      await server.ok("FilaAdmin/CreateQueue", { name: "streamed" });
      for (let at = 0; at < 3; at++) await server.ok("FilaService/Enqueue", { queue: "streamed", payload: hello });
      const stream = buf.open(t, "FilaService/StreamLease", { subscribe: { queue: "streamed" }, credit: 3 });
      const leases: Delivered[] = [];
      while (leases.length < 3) leases.push(...(((await stream.next()).messages as Delivered[] | undefined) ?? []));
      const [first, second, third] = leases;
      const settle = (lease: Delivered | undefined, action: string): object => ({
        messageId: lease?.message.id,
        leaseToken: lease?.leaseToken,
        action: `SETTLEMENT_ACTION_${action}`,
      });
      stream.write({ settlementFrame: "7", settlements: [settle(first, "ACK"), settle(first, "ACK")] });
      const { settled } = await stream.next((answer) => answer["settled"] !== undefined);
      assert.equal((settled as { settlementFrame: string }[])[0]?.settlementFrame, "7");
      stream.write({ settlementFrame: "8", settlements: [settle(second, "NACK"), settle(third, "ACK")], credit: 1 });
      const again = await stream.next((answer) => answer["messages"] !== undefined);
      const [{ message }] = again.messages as [Delivered];
      assert.deepEqual([message.id, message.metadata.attemptCount], [second?.message.id, 1]);
      stream.end();
      assert.equal(await stream.ended, 0);
      assert.equal((await server.stats("streamed")).depth, 1);
    });
  });
}
