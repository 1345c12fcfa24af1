// How far a refusal reaches, and what it gives away.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { ConnectError, createClient, createContextValues } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, FilaAdmin, FilaService } from "@fila/sdk/gen";
import fc from "fast-check";
import type { EnqueueItem } from "../../core/commands.ts";
import { failure } from "../../core/errors.ts";
import { PartialFrameBuilder, outcomesOf } from "../../delivery/partial-frame.ts";
import { Caller, callerKey } from "./caller.ts";
import { GrantedPrincipal } from "./granted-principal.ts";
import type { Grant } from "./pattern.ts";
import { permittedItems } from "./permitted.ts";
import { anonymous } from "./principal.ts";
import { byKey, startGuarded } from "./testing/guarded-server.ts";

async function start(t: TestContext, ...grants: Grant[]) {
  const principal = new GrantedPrincipal("p", grants);
  const root = new GrantedPrincipal("root", "superadmin");
  const server = await startGuarded(
    t,
    byKey(
      new Map([
        ["k", principal],
        ["root", root],
      ]),
    ),
  );
  const connect = (key: string) =>
    createConnectTransport({
      baseUrl: server.url,
      httpVersion: "2",
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", `Bearer ${key}`);
          return next(request);
        },
      ],
    });
  const admin = createClient(FilaAdmin, connect("k"));
  return {
    ...server,
    principal,
    admin,
    fila: createClient(FilaService, connect("k")),
    root: createClient(FilaAdmin, connect("root")),
  };
}

async function failureOf(answer: Promise<unknown>) {
  try {
    await answer;
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    const [info] = error.findDetails(ErrorInfoSchema);
    return { message: error.rawMessage, reason: info?.reason, metadata: info?.metadata };
  }
  return assert.fail("succeeded");
}

describe("a batch", () => {
  test("has a result for each message, and only those that are permitted reach the broker", async (t) => {
    const { fila, broker } = await start(t, { kind: "produce", pattern: "orders.*" });
    for (const queue of ["orders.eu", "other"]) await broker.createQueue(queue, {});
    const queues = ["other", "orders.eu", "orders.none", "", "missing", "orders.eu"];
    const messages = [...queues.map((queue) => ({ queue })), { queue: "other", cost: 0 }];
    const { results } = await fila.batchEnqueue({ messages });
    assert.deepEqual(
      results.map(({ result }) => (result.case === "error" ? result.value.reason : result.case)),
      [
        "PERMISSION_DENIED",
        "messageId",
        "QUEUE_NOT_FOUND",
        "INVALID_QUEUE_NAME",
        "PERMISSION_DENIED",
        "messageId",
        // What cannot be a message is one for nobody.
        "INVALID_FIELD",
      ],
    );
    assert.equal(results[0]?.result.case === "error" && results[0].result.value.code, 7);
    assert.equal(broker.queues.get("orders.eu")?.waiting.length, 2);
    assert.equal(broker.queues.get("other")?.waiting.length, 0);
  });

  test("keeps every result in its place", () => {
    const entry = fc.constantFrom("mine", "theirs", "invalid");
    const invalid = failure("INVALID_FIELD", "invalid");
    const caller = new Caller(1, new GrantedPrincipal("p", [{ kind: "produce", pattern: "mine" }]), {
      scope: "queue named",
      anyOf: ["produce"],
    });
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const frame = new PartialFrameBuilder<EnqueueItem>();
        for (const queue of entries) {
          if (queue === "invalid") frame.refuse(invalid);
          else frame.accept({ queue, fairnessKey: "", weight: 0, cost: 1, throttleKeys: [], body: Buffer.alloc(0) });
        }
        const permitted = permittedItems(frame, caller);
        assert.ok(!("reason" in permitted));
        assert.ok(permitted.items.every(({ queue }) => queue === "mine"));
        const outcomes = outcomesOf(
          permitted,
          permitted.items.map(() => "mine"),
        );
        assert.deepEqual(
          outcomes.map((outcome) => (typeof outcome === "string" ? outcome : outcome.reason)),
          entries.map((is) => ({ mine: "mine", theirs: "PERMISSION_DENIED", invalid: "INVALID_FIELD" })[is]),
        );
        if (!entries.includes("theirs")) assert.equal(permitted, frame, "nothing is copied");
      }),
    );
  });

  test("costs the anonymous nothing: the frame is passed on unseen", () => {
    const unread = new Proxy(new PartialFrameBuilder<EnqueueItem>(), {
      get: (_, name) => assert.fail(`read ${String(name)}`),
    });
    const caller = new Caller(1, anonymous, { scope: "queue named", anyOf: ["produce"] });
    assert.equal(permittedItems(unread, caller), unread);
  });
});

describe("a refusal", () => {
  test("is the same whether the queue exists or not, and names what is missing", async (t) => {
    const { admin, fila, broker } = await start(t, { kind: "produce", pattern: "q" });
    for (const call of [
      () => fila.lease({ queue: "secret" }),
      () => fila.ack({ queue: "secret", messageId: "0190b5a0-0000-7000-8000-000000000001" }),
      () => admin.getStats({ queue: "secret" }),
      () => admin.deleteQueue({ queue: "secret" }),
      () => admin.createQueue({ name: "secret" }),
    ]) {
      broker.queues.clear();
      const absent = await failureOf(call());
      await broker.createQueue("secret", {});
      assert.deepEqual(await failureOf(call()), absent);
      assert.equal(absent.reason, "PERMISSION_DENIED");
      assert.match(absent.message, /permission (consume|admin|consume or admin) on queue "secret"/);
      assert.deepEqual(Object.keys(absent.metadata ?? {}), ["permission", "queue"]);
    }
  });

  test("is short, however long the name is", async (t) => {
    const { admin } = await start(t);
    const { message, metadata } = await failureOf(admin.getStats({ queue: "ü".repeat(1_000_000) }));
    assert.ok(message.length < 500 && String(metadata?.["queue"]).length < 300);
    // Cut in the middle of a pair of surrogates.
    const { reason } = await failureOf(admin.getStats({ queue: `${"x".repeat(255)}\u{1f41f}${"x".repeat(255)}` }));
    assert.equal(reason, "PERMISSION_DENIED");
  });

  test("comes before NOT_IMPLEMENTED and before the request is held against its limits", async (t) => {
    const { admin } = await start(t, { kind: "admin", pattern: "mine" });
    const script = { onEnqueueScript: "return {}" };
    for (const [call, reason] of [
      [() => admin.createQueue({ name: "theirs", config: script }), "PERMISSION_DENIED"],
      [() => admin.createQueue({ name: "mine", config: script }), "SCRIPT_INVALID"],
      [() => admin.testHook({ queue: "theirs", script: "return {}" }), "PERMISSION_DENIED"],
      // Without a queue it could read the configuration, which is not of this queue alone.
      [() => admin.testHook({ script: "return {}" }), "PERMISSION_DENIED"],
      [() => admin.createQueue({ name: "" }), "PERMISSION_DENIED"],
      [() => admin.setConfig({ key: "throttle.x", value: "nonsense" }), "PERMISSION_DENIED"],
      [() => admin.updateQueue({ queue: "theirs", maxAttempts: 0xffff_ffff }), "PERMISSION_DENIED"],
      [() => admin.redrive({ dlqQueue: "mine" }), "QUEUE_NOT_FOUND"],
      // The source alone is not enough: its messages go to "theirs".
      [() => admin.redrive({ dlqQueue: "theirs.dlq" }), "PERMISSION_DENIED"],
    ] as const) {
      assert.equal((await failureOf(call())).reason, reason);
    }
  });
});

describe("redrive", () => {
  test("takes admin on the source and on the destination", async (t) => {
    const { admin, principal } = await start(t);
    for (const [patterns, reason] of [
      [["a.dlq"], "PERMISSION_DENIED"],
      [["a"], "PERMISSION_DENIED"],
      [["a", "a.dlq"], "QUEUE_NOT_FOUND"],
    ] as const) {
      principal.replaceGrants(patterns.map((pattern) => ({ kind: "admin", pattern })));
      assert.equal((await failureOf(admin.redrive({ dlqQueue: "a.dlq" }))).reason, reason, patterns.join());
    }
  });
});

describe("keys", () => {
  test("nobody gives what their own admin grants do not cover", async (t) => {
    const { admin, root } = await start(t, { kind: "admin", pattern: "orders.*" }, { kind: "produce", pattern: "*" });
    const give = (...patterns: string[]) =>
      failureOf(admin.setAcl({ keyId: "k", permissions: patterns.map((pattern) => ({ kind: "consume", pattern })) }));
    for (const within of [[], ["orders.eu"], ["orders.*"], ["orders.eu.*", "orders.x"]]) {
      assert.equal((await give(...within)).reason, "NOT_IMPLEMENTED", within.join());
    }
    for (const beyond of [["*"], ["orders"], ["orders.eu", "other"], ["order.*"], ["ord*"], [""]]) {
      assert.equal((await give(...beyond)).reason, "PERMISSION_DENIED", beyond.join());
    }
    assert.equal((await failureOf(admin.createApiKey({ name: "n" }))).reason, "NOT_IMPLEMENTED");
    assert.equal((await failureOf(admin.createApiKey({ name: "n", isSuperadmin: true }))).reason, "PERMISSION_DENIED");
    assert.equal((await failureOf(root.createApiKey({ name: "n", isSuperadmin: true }))).reason, "NOT_IMPLEMENTED");
  });

  test("an admin of everything is no superadmin", async (t) => {
    const { admin } = await start(t, { kind: "admin", pattern: "*" });
    assert.equal((await failureOf(admin.createApiKey({ name: "n", isSuperadmin: true }))).reason, "PERMISSION_DENIED");
  });
});

describe("ListQueues", () => {
  test("shows the queues that the caller has any permission on, and counts no others", async (t) => {
    const { admin, root, broker, principal } = await start(
      t,
      { kind: "produce", pattern: "a" },
      { kind: "consume", pattern: "b.*" },
      { kind: "admin", pattern: "c" },
    );
    for (const queue of ["a", "a.dlq", "b", "b.1", "b.2", "c", "d"]) await broker.createQueue(queue, {});
    const listed = async (cursor = "") => {
      const { queues, totalCount, nextCursor } = await admin.listQueues({ cursor });
      return { names: queues.map((queue) => queue.name).join(" "), totalCount, nextCursor };
    };
    assert.deepEqual(await listed(), { names: "a b.1 b.2 c", totalCount: 4n, nextCursor: "" });
    assert.deepEqual(await listed("b.1"), { names: "b.2 c", totalCount: 4n, nextCursor: "" });
    principal.replaceGrants([]);
    assert.deepEqual(await listed(), { names: "", totalCount: 0n, nextCursor: "" });
    assert.equal((await root.listQueues({})).totalCount, 7n);
  });

  test("a page is full although others stand between, and the next one goes on behind it", async (t) => {
    const { admin, broker } = await start(t, { kind: "consume", pattern: "mine.*" });
    const mine = Array.from({ length: 10_001 }, (_, n) => `mine.${String(n).padStart(5, "0")}`);
    // By name they come before, and there are more of them than a page of the broker holds.
    for (let n = 0; n < 10_001; n += 1) await broker.createQueue(`aaa.${n}`, {});
    for (const queue of mine) await broker.createQueue(queue, {});
    const first = await admin.listQueues({});
    assert.equal(first.totalCount, 10_001n);
    assert.deepEqual(
      first.queues.map((queue) => queue.name),
      mine.slice(0, 10_000),
    );
    assert.equal(first.nextCursor, mine[9_999]);
    const second = await admin.listQueues({ cursor: first.nextCursor });
    assert.deepEqual(
      second.queues.map((queue) => queue.name),
      mine.slice(10_000),
    );
    assert.equal(second.nextCursor, "");
  });
});

test("a call that nobody was admitted for may do nothing", () => {
  const caller = createContextValues().get(callerKey);
  assert.equal(caller.unrestricted, false);
  assert.equal(caller.refusal("q")?.reason, "PERMISSION_DENIED");
  assert.equal(caller.refusalToGive({ superadmin: false, grants: [] })?.reason, "PERMISSION_DENIED");
  assert.equal(caller.sees("q"), false);
});

test("whose call it is goes with it to the broker", async (t) => {
  const { url, broker } = await start(t);
  await broker.createQueue("q", {});
  const seen: string[] = [];
  t.mock.method(
    broker,
    "settle",
    (_queue: string, _items: unknown, who: { principal: string }, done: (outcomes: []) => void) => {
      seen.push(who.principal);
      done([]);
    },
  );
  for (const transport of [
    createGrpcTransport({ baseUrl: url, acceptCompression: [] }),
    createConnectTransport({ baseUrl: url, httpVersion: "1.1", useBinaryFormat: false }),
  ]) {
    const options = { headers: { authorization: "Bearer root" } };
    await createClient(FilaService, transport).ack(
      { queue: "q", messageId: "0190b5a0-0000-7000-8000-000000000001" },
      options,
    );
  }
  assert.deepEqual(seen, ["root", "root"]);
});
