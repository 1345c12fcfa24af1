// Tools that know nothing of Fila but its address: they learn the rest by server reflection.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "@fila/sdk/gen";
import { type Scope, ServerProcess, root, temporaryDirectory } from "./server-process.ts";

const buf = join(root, "node_modules/.bin/buf");
const services = [
  "fila.v1.FilaAdmin",
  "fila.v1.FilaService",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
];

/** `buf curl` with a home of its own and no schema at hand. Resolves with its output; rejects when it fails. */
function bufCurl(scope: Scope, protocol: string) {
  const home = temporaryDirectory(scope);
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, XDG_CACHE_HOME: home };
  return async (...args: string[]): Promise<string> => {
    const fixed = ["curl", "--http2-prior-knowledge", "--protocol", protocol];
    return (await promisify(execFile)(buf, [...fixed, ...args], { cwd: home, env })).stdout;
  };
}

for (const protocol of ["grpc", "grpcweb", "connect"]) {
  describe(`buf curl over ${protocol}`, () => {
    test("lists services and methods", async (t) => {
      const { url } = await ServerProcess.start(t);
      const curl = bufCurl(t, protocol);
      assert.deepEqual((await curl(url, "--list-services")).trim().split("\n"), services);
      const methods = (await curl(url, "--list-methods")).trim().split("\n");
      for (const method of [
        "fila.v1.FilaService/Enqueue",
        "fila.v1.FilaAdmin/CreateQueue",
        "grpc.health.v1.Health/Watch",
      ]) {
        assert.ok(methods.includes(method), methods.join("\n"));
      }
    });

    test("calls, and shows the details of errors", async (t) => {
      const { url } = await ServerProcess.start(t);
      const curl = bufCurl(t, protocol);
      const call = (method: string, data: unknown): Promise<string> =>
        curl(`${url}/${method}`, "-d", JSON.stringify(data));
      assert.deepEqual(JSON.parse(await call("fila.v1.FilaAdmin/CreateQueue", { name: "q" })), { queueId: "q" });
      const { messageId } = JSON.parse(await call("fila.v1.FilaService/Enqueue", { queue: "q", payload: "aGVsbG8=" }));
      const leased = JSON.parse(await call("fila.v1.FilaService/Lease", { queue: "q" }));
      assert.equal(leased.messages[0].message.id, messageId);
      assert.equal(leased.messages[0].message.payload, "aGVsbG8=");
      assert.deepEqual(JSON.parse(await call("grpc.health.v1.Health/Check", {})), { status: "SERVING" });
      const failed = await call("fila.v1.FilaService/Enqueue", { queue: "none" }).then(
        () => assert.fail("succeeded"),
        (error: unknown) => JSON.parse((error as { stderr: string }).stderr),
      );
      assert.equal(failed.code, "not_found");
      const [{ type, value }] = failed.details;
      assert.equal(type, "google.rpc.ErrorInfo");
      assert.equal(fromBinary(ErrorInfoSchema, Buffer.from(value, "base64")).reason, "QUEUE_NOT_FOUND");
    });
  });
}
