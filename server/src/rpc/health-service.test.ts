import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "@fila/sdk/gen";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@fila/sdk/gen/grpc";
import type { HealthCheckResponse } from "@fila/sdk/gen/grpc";
import { startFixture } from "./testing/rpc-fixture.ts";
import type { RpcFixture } from "./testing/rpc-fixture.ts";
import { transports } from "./testing/transports.ts";

const services = ["", "fila.v1.FilaService", "fila.v1.FilaAdmin"];

const named = Object.fromEntries(Object.entries(Status).map(([name, status]) => [status, name]));

async function start(t: TestContext, connect: (typeof transports)[string]) {
  const fixture = await startFixture(t);
  return { ...fixture, health: createClient(Health, connect(fixture.url)) };
}

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  const error: unknown = await call.then(
    () => assert.fail("succeeded"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  return error;
}

async function statusOf(responses: AsyncIterator<HealthCheckResponse>): Promise<string> {
  const { done, value } = await responses.next();
  assert.ok(done !== true, "the stream has ended");
  return named[value.status] ?? "";
}

/** Resolves when nobody watches the broker any more. */
async function unwatched({ broker }: RpcFixture): Promise<void> {
  while (broker.stateListeners.size > 0) await new Promise((resolve) => setImmediate(resolve));
}

for (const [name, connect] of Object.entries(transports)) {
  describe(`health over ${name}`, () => {
    it("says of every service whether it serves", async (t) => {
      const { health, broker } = await start(t, connect);
      for (const [state, expected] of [
        ["serving", "SERVING"],
        ["readonly", "NOT_SERVING"],
        ["starting", "NOT_SERVING"],
        ["draining", "NOT_SERVING"],
        ["stopped", "NOT_SERVING"],
      ] as const) {
        broker.become(state);
        for (const service of services) assert.equal(named[(await health.check({ service })).status], expected);
        const { statuses } = await health.list({});
        assert.deepEqual(
          Object.entries(statuses).map(([service, { status }]) => [service, named[status]]),
          services.map((service) => [service, expected]),
        );
      }
    });

    it("does not know other services", async (t) => {
      const { health } = await start(t, connect);
      const error = await failureOf(health.check({ service: "fila.v2.Nothing" }));
      assert.equal(Code[error.code], "NotFound");
      assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "SERVICE_NOT_FOUND");
      assert.match(error.rawMessage, /"fila\.v2\.Nothing".*fila\.v1\.FilaService/);
    });

    it("tells a watcher at once, and of every change", async (t) => {
      const fixture = await start(t, connect);
      const { health, broker } = fixture;
      const abort = new AbortController();
      const responses = health.watch({ service: "fila.v1.FilaService" }, { signal: abort.signal });
      const watched = responses[Symbol.asyncIterator]();
      assert.equal(await statusOf(watched), "SERVING");
      for (const [state, expected] of [
        ["readonly", "NOT_SERVING"],
        ["serving", "SERVING"],
        ["draining", "NOT_SERVING"],
      ] as const) {
        broker.become(state);
        assert.equal(await statusOf(watched), expected);
      }
      abort.abort();
      assert.equal(Code[(await failureOf(watched.next())).code], "Canceled");
      await unwatched(fixture);
    });

    it("keeps a watcher of an unknown service, and ends all when the port closes", async (t) => {
      const { health, rpc, ...fixture } = await start(t, connect);
      const unknown = health.watch({ service: "later" })[Symbol.asyncIterator]();
      const known = health.watch({ service: "" })[Symbol.asyncIterator]();
      assert.equal(await statusOf(unknown), "SERVICE_UNKNOWN");
      assert.equal(await statusOf(known), "SERVING");
      const unknownEnds = failureOf(unknown.next());
      const last = statusOf(known);
      // A grace without end: the streams must end by themselves.
      const closed = rpc.close(60_000);
      assert.equal(await last, "NOT_SERVING");
      for (const error of [await unknownEnds, await failureOf(known.next())]) {
        assert.equal(Code[error.code], "Unavailable");
        assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "DRAINING");
        assert.equal(error.findDetails(RetryInfoSchema).length, 1);
      }
      await closed;
      await unwatched({ ...fixture, rpc });
    });

    it("ends a watch at its deadline", async (t) => {
      const { health } = await start(t, connect);
      const toTheEnd = async (): Promise<void> => {
        for await (const { status } of health.watch({ service: "" }, { timeoutMs: 20 })) {
          assert.equal(named[status], "SERVING");
        }
      };
      assert.equal(Code[(await failureOf(toTheEnd())).code], "DeadlineExceeded");
    });
  });
}

describe("health for probes", () => {
  it("is plain JSON for curl", async (t) => {
    const { url } = await startFixture(t);
    const response = await fetch(`${url}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.deepEqual(await response.json(), { status: "SERVING" });
  });

  it("takes no long names", async (t) => {
    const { health } = await start(t, transports["gRPC"]!);
    const error = await failureOf(health.check({ service: "x".repeat(64 * 1024) }));
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "MESSAGE_TOO_LARGE");
  });
});
