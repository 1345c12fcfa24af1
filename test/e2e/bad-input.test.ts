// What a client may get wrong, through every protocol: the answer has a code, a reason for programs, and a sentence that
// names the thing and the remedy. And the server lives on.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { describe, test } from "node:test";
import {
  type DescMessage,
  type DescMethodStreaming,
  type DescMethodUnary,
  create,
  fromBinary,
  toJson,
} from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, FilaAdmin, FilaService, SettlementAction } from "@fila/sdk/gen";
import { type Scope, ServerProcess } from "./server-process.ts";
import { WorkerStream } from "./worker-stream.ts";

interface Refusal {
  readonly code: Code;
  readonly reason: string | undefined;
  readonly domain: string | undefined;
  readonly field: string | undefined;
  readonly message: string;
}

type Request = Readonly<Record<string, unknown>>;
type Caller = (method: string, request: Request) => Promise<Refusal | undefined>;

type Unary = DescMethodUnary;
type Streaming = DescMethodStreaming;

function methodOf(name: string): Unary | Streaming {
  const method = [...FilaAdmin.methods, ...FilaService.methods].find((each) => each.name === name);
  assert.ok(method !== undefined);
  return method;
}

function refusalOf(error: ConnectError): Refusal {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [bad] = error.findDetails(BadRequestSchema);
  const { code, rawMessage } = error;
  const field = bad?.fieldViolations[0]?.field;
  return { code, reason: info?.reason, domain: info?.domain, field, message: rawMessage };
}

/** Undefined: it was answered OK. */
function overTransport(transport: Transport): Caller {
  return async (name, request) => {
    const method = methodOf(name);
    try {
      if (method.methodKind === "unary") await transport.unary(method, undefined, undefined, undefined, request);
      else {
        const input = (async function* () {
          yield request;
        })();
        const { message } = await transport.stream(method, undefined, undefined, undefined, input);
        for await (const response of message) assert.ok(response);
      }
      return undefined;
    } catch (error) {
      return refusalOf(ConnectError.from(error));
    }
  };
}

/** As curl does it. */
function overJson(server: ServerProcess): Caller {
  return async (name, request) => {
    const { parent, input } = methodOf(name);
    const text = JSON.stringify(toJson(input, create(input, request)));
    return refusalOfJson(await server.post(`${parent.typeName.replace("fila.v1.", "")}/${name}`, text));
  };
}

interface JsonError {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly value: string }[];
}

function refusalOfJson(answer: { status: number; body: unknown }): Refusal | undefined {
  if (answer.status === 200) return undefined;
  const { code, message, details } = answer.body as JsonError;
  const detail = <D extends DescMessage>(schema: D) => {
    const found = details.find(({ type }) => type === schema.typeName);
    return found && fromBinary(schema, Buffer.from(found.value, "base64"));
  };
  const [info, bad] = [detail(ErrorInfoSchema), detail(BadRequestSchema)];
  const number = Object.entries(Code).find(([name]) => name.toLowerCase() === code.replaceAll("_", ""));
  assert.ok(number !== undefined, `code ${code}`);
  const field = bad?.fieldViolations[0]?.field;
  return { code: number[1] as Code, reason: info?.reason, domain: info?.domain, field, message };
}

interface Case {
  readonly wrong: string;
  readonly method: string;
  readonly request: Request;
  readonly code: Code;
  readonly reason: string;
  /** Where BadRequest points; undefined: nowhere in particular. */
  readonly field?: string;
  /** The message names the thing, and the remedy. */
  readonly says: RegExp;
}

const queue = "there";
const payload = Buffer.from("hello");
const unknownId = "01919191-9191-7191-9191-919191919191";
const year = 31_536_000_000n;
const headers = (count: number, bytes = 1): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`h${at}`, "v".repeat(bytes)]));

const badNames: readonly (readonly [string, string, RegExp])[] = [
  ["empty", "", /empty; name a queue of 1 to 255 bytes/],
  ["nothing but the suffix", ".dlq", /nothing before its suffix; name a queue/],
  ["of 256 bytes", "q".repeat(256), /256 bytes long; shorten it to at most 255/],
  ["of 256 bytes in 128 letters", "é".repeat(128), /256 bytes long; shorten it to at most 255/],
  ["of 256 bytes before the suffix", `${"q".repeat(256)}.dlq`, /256 bytes long; shorten it to at most 255/],
  ["with a control character", "a\u0007b", /control character; use printable/],
  ["with a line break", "a\nb", /control character; use printable/],
];

const cases: readonly Case[] = [
  ...badNames.flatMap(([wrong, name, says]) =>
    [
      ["CreateQueue", { name }, "name"],
      ["DeleteQueue", { queue: name }, "queue"],
      ["GetStats", { queue: name }, "queue"],
      ["Enqueue", { queue: name, payload }, "queue"],
      ["Lease", { queue: name }, "queue"],
      ["Ack", { queue: name, messageId: unknownId }, "queue"],
      ["Settle", { queue: name }, "queue"],
    ].map(([method, request, field]) => ({
      wrong: `a queue name ${wrong}`,
      ...{ method: method as string, request: request as Request, field: field as string, says },
      code: Code.InvalidArgument,
      reason: "INVALID_QUEUE_NAME",
    })),
  ),
  ...[
    ["Enqueue", { payload }],
    ["Lease", {}],
    ["Ack", { messageId: unknownId }],
    ["Nack", { messageId: unknownId }],
    ["DeleteQueue", {}],
    ["GetStats", {}],
  ].map(([method, request]) => ({
    wrong: "an unknown queue",
    method: method as string,
    request: { queue: "nowhere", ...(request as Request) },
    code: Code.NotFound,
    reason: "QUEUE_NOT_FOUND",
    says: /queue "nowhere" does not exist; create it with CreateQueue or "fila queue create nowhere"/,
  })),
  ...["Ack", "Nack"].flatMap((method) => [
    {
      ...{ wrong: "an unknown message", method, request: { queue, messageId: unknownId } },
      ...{
        code: Code.NotFound,
        reason: "MESSAGE_NOT_FOUND",
        says: /message "01919191-[^"]*" of queue "there" is unknown/,
      },
    },
    {
      ...{ wrong: "an id that is none", method, request: { queue, messageId: "42" } },
      ...{ code: Code.NotFound, reason: "MESSAGE_NOT_FOUND", says: /message "42" of queue "there" is unknown/ },
    },
    {
      ...{ wrong: "an unknown message with a token", method },
      request: { queue, messageId: unknownId, leaseToken: Buffer.alloc(8, 1) },
      ...{
        code: Code.NotFound,
        reason: "MESSAGE_NOT_FOUND",
        says: /message "01919191-[^"]*" of queue "there" is unknown/,
      },
    },
    {
      ...{ wrong: "a token of the wrong length", method },
      request: { queue, messageId: unknownId, leaseToken: Buffer.alloc(7) },
      ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field: "lease_token", says: /lease_token.* 8 bytes/ },
    },
  ]),
  {
    ...{ wrong: "an oversize message", method: "Enqueue", request: { queue, payload: Buffer.alloc(1_048_577) } },
    ...{ code: Code.InvalidArgument, reason: "MESSAGE_TOO_LARGE", field: "payload" },
    says: /1048577 bytes.*1048576.*send a reference/,
  },
  {
    ...{ wrong: "too many headers", method: "Enqueue", request: { queue, headers: headers(65) } },
    ...{
      code: Code.InvalidArgument,
      reason: "TOO_MANY_HEADERS",
      field: "headers",
      says: /more than 64 headers; send fewer/,
    },
  },
  {
    ...{ wrong: "too large headers", method: "Enqueue", request: { queue, headers: headers(9, 1024) } },
    ...{ code: Code.InvalidArgument, reason: "TOO_MANY_HEADERS", field: "headers", says: /8192/ },
  },
  ...["weight", "cost"].flatMap((field) =>
    [0, 1_001].map((value) => ({
      ...{ wrong: `a ${field} of ${value}`, method: "Enqueue", request: { queue, payload, [field]: value } },
      ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field },
      says: new RegExp(`${field} is ${value}; .*1 to 1,?000`),
    })),
  ),
  {
    ...{ wrong: "a fairness key of 257 bytes", method: "Enqueue", request: { queue, fairnessKey: "k".repeat(257) } },
    ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field: "fairness_key", says: /fairness_key.*256/ },
  },
  {
    ...{ wrong: "17 throttle keys", method: "Enqueue" },
    request: { queue, throttleKeys: Array.from({ length: 17 }, (_, at) => `t${at}`) },
    ...{
      code: Code.InvalidArgument,
      reason: "INVALID_FIELD",
      field: "throttle_keys",
      says: /more than 16 throttle keys; send fewer/,
    },
  },
  ...[999n, 43_200_001n].map((visibilityTimeoutMs) => ({
    wrong: `a visibility timeout of ${visibilityTimeoutMs} ms`,
    ...{ method: "CreateQueue", request: { name: "new", config: { visibilityTimeoutMs } } },
    ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field: "config.visibility_timeout_ms" },
    says: new RegExp(`visibility_timeout_ms is ${visibilityTimeoutMs}; .*1000 to 43200000`),
  })),
  ...[year + 1n, 2n ** 64n - 1n].flatMap((ms) => [
    ...(["delayMs", "ttlMs"] as const).map((name) => ({
      ...{ wrong: `${name} of ${ms}`, method: "Enqueue", request: { queue, [name]: ms } },
      ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field: name === "ttlMs" ? "ttl_ms" : "delay_ms" },
      says: new RegExp(`is ${ms}; give at most 31536000000 \\(a year\\)`),
    })),
    {
      ...{ wrong: `a retry after ${ms} ms`, method: "Nack" },
      request: { queue, messageId: unknownId, leaseToken: Buffer.alloc(8), retryDelayMs: ms },
      ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field: "retry_delay_ms" },
      says: new RegExp(`is ${ms}; give at most 31536000000 \\(a year\\)`),
    },
  ]),
  {
    ...{ wrong: "a time more than a year away", method: "Enqueue" },
    request: { queue, deliverAt: timestampFromMs(Date.now() + 2 * Number(year)) },
    ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field: "deliver_at", says: /give a time within a year/ },
  },
  {
    ...{ wrong: "a delay and a time", method: "Enqueue" },
    request: { queue, delayMs: 1n, deliverAt: timestampFromMs(Date.now()) },
    ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field: "delay_ms", says: /give one of the two/ },
  },
  ...[
    ["CreateQueue", { name: "new", config: { maxAttempts: 1_000_001 } }, "config.max_attempts"],
    ["UpdateQueue", { queue, maxAttempts: 1_000_001 }, "max_attempts"],
  ].map(([method, request, field]) => ({
    ...{ wrong: "too many attempts", method: method as string, request: request as Request, field: field as string },
    ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", says: /is 1000001; .*0 to 1000000/ },
  })),
  {
    ...{ wrong: "a queue that is no dead-letter queue", method: "Redrive", request: { dlqQueue: queue } },
    ...{ code: Code.FailedPrecondition, reason: "NOT_A_DEAD_LETTER_QUEUE", says: /name "there\.dlq"/ },
  },
  {
    ...{ wrong: "a cursor that is none", method: "ListMessages", request: { queue, cursor: "x" } },
    ...{ code: Code.InvalidArgument, reason: "INVALID_FIELD", field: "cursor", says: /cursor/ },
  },
  {
    ...{ wrong: "a queue that exists", method: "CreateQueue", request: { name: queue } },
    ...{ code: Code.AlreadyExists, reason: "QUEUE_EXISTS", says: /queue "there" exists already; choose another name/ },
  },
  {
    ...{ wrong: "a script", method: "CreateQueue", request: { name: "new", config: { onEnqueueScript: "return 1" } } },
    ...{ code: Code.InvalidArgument, reason: "SCRIPT_INVALID", says: /on_enqueue_script.*correct the script/ },
    field: "config.on_enqueue_script",
  },
  {
    ...{ wrong: "a method that is not there yet", method: "CreateApiKey", request: { name: "a" } },
    ...{ code: Code.Unimplemented, reason: "NOT_IMPLEMENTED", says: /CreateApiKey.*not part of this version/ },
  },
];

/** These stream, which plain JSON over HTTP/1.1 does not. */
const streamCases: readonly Case[] = [
  ...["Consume", "StreamLease"].flatMap((method) => {
    const request = (name: string): Request =>
      method === "Consume" ? { queue: name } : { subscribe: { queue: name } };
    return [
      {
        ...{ wrong: "an unknown queue", method, request: request("nowhere") },
        ...{ code: Code.NotFound, reason: "QUEUE_NOT_FOUND", says: /queue "nowhere" does not exist; create it/ },
      },
      ...badNames.map(([wrong, name, says]) => ({
        ...{ wrong: `a queue name ${wrong}`, method, request: request(name), says },
        ...{ code: Code.InvalidArgument, reason: "INVALID_QUEUE_NAME", field: "queue" },
      })),
    ];
  }),
  {
    ...{ wrong: "a queue that is no dead-letter queue", method: "RedriveMessages", request: { dlqQueue: queue } },
    ...{ code: Code.FailedPrecondition, reason: "NOT_A_DEAD_LETTER_QUEUE", says: /name "there\.dlq"/ },
  },
  {
    ...{ wrong: "a revision that is yet to come", method: "WatchConfig", request: { fromRevision: 1_000n } },
    ...{
      code: Code.InvalidArgument,
      reason: "INVALID_FIELD",
      field: "from_revision",
      says: /revision 1000 is yet to come.*watch from a revision that you were told/,
    },
  },
  {
    ...{ wrong: "no subscription", method: "StreamLease", request: { credit: 1 } },
    ...{
      code: Code.InvalidArgument,
      reason: "INVALID_REQUEST",
      field: "subscribe",
      says: /does not subscribe; name a queue/,
    },
  },
];

async function serverWithQueue(scope: Scope): Promise<ServerProcess> {
  const server = await ServerProcess.start(scope);
  await server.ok("FilaAdmin/CreateQueue", { name: queue });
  return server;
}

async function refuses(call: Caller, each: Case): Promise<void> {
  const what = `${each.method} with ${each.wrong}`;
  const refusal = await call(each.method, each.request);
  assert.ok(refusal !== undefined, `${what} was answered OK`);
  const { message, ...rest } = refusal;
  const { code, reason, field } = each;
  assert.deepEqual(rest, { code, reason, domain: "fila", field }, `${what}: ${message}`);
  assert.match(message, each.says, what);
}

describe("what is wrong is refused with code, reason and remedy", () => {
  for (const protocol of ["grpc", "connect", "json over HTTP/1.1"] as const) {
    test(`over ${protocol}`, async (t) => {
      const server = await serverWithQueue(t);
      const call = protocol === "json over HTTP/1.1" ? overJson(server) : overTransport(server.transport(protocol));
      for (const each of cases) await refuses(call, each);
      if (protocol !== "json over HTTP/1.1") for (const each of streamCases) await refuses(call, each);

      // More than a request may have is refused before it is understood.
      const huge = await call("Enqueue", { queue, payload: Buffer.alloc(5 * 1024 * 1024) });
      assert.deepEqual([huge?.reason, huge?.domain], ["MESSAGE_TOO_LARGE", "fila"], JSON.stringify(huge));
      assert.match(huge?.message ?? "", /4194304|limits\.read_max_bytes/);

      // A cursor belongs to its queue and filter.
      const { admin, service } = server.clients("grpc");
      await admin.createQueue({ name: "listed" });
      await service.batchEnqueue({ messages: [{ queue: "listed" }, { queue: "listed" }] });
      const { nextCursor: cursor } = await admin.listMessages({ queue: "listed", limit: 1 });
      for (const request of [
        { queue, cursor },
        { queue: "listed", cursor, filter: { fairnessKey: "k" } },
      ]) {
        const refused = await call("ListMessages", request);
        assert.deepEqual([refused?.reason, refused?.field], ["INVALID_FIELD", "cursor"]);
      }
      // A filter that lets nothing through is no error.
      const none = { filter: { fairnessKey: "nobody" } };
      assert.equal(await call("ListMessages", { queue: "listed", ...none }), undefined);
      let redriven;
      for await (const progress of admin.redriveMessages({ dlqQueue: "listed.dlq", ...none })) redriven = progress;
      assert.deepEqual([redriven?.done, redriven?.redriven], [true, 0n]);

      // The limits themselves are fine.
      for (const name of ["q".repeat(255), `${"r".repeat(255)}.dlq`, "é".repeat(127)]) {
        assert.equal(await call("CreateQueue", { name }), undefined);
        assert.equal(await call("Enqueue", { queue: name, payload, weight: 1_000, cost: 1_000 }), undefined);
      }
      const most = { payload: Buffer.alloc(1_048_576), headers: headers(64, 64), fairnessKey: "k".repeat(256) };
      assert.equal(await call("Enqueue", { queue, ...most }), undefined);
      assert.equal((await server.stats(queue)).depth, 1, "nothing that was refused was stored");
    });
  }

  test("a message of many that is wrong is refused alone", async (t) => {
    const server = await serverWithQueue(t);
    const { service } = server.clients("grpc");
    const messages = [
      { queue, payload },
      { queue: "nowhere", payload },
      { queue, payload, weight: 0 },
      { queue, payload },
    ];
    const expected = [undefined, [5, "QUEUE_NOT_FOUND"], [3, "INVALID_FIELD"], undefined];
    const errorsIn = (results: readonly { result: { case?: string | undefined; value?: unknown } }[]) =>
      results.map(({ result }) => {
        if (result.case === "messageId") return undefined;
        const { code, reason } = result.value as { code: number; reason: string };
        return [code, reason];
      });
    assert.deepEqual(errorsIn((await service.batchEnqueue({ messages })).results), expected);
    const frames = (async function* () {
      yield { frame: 1n, messages };
      yield { frame: 2n, messages: messages.slice(0, 1) };
    })();
    const answers = [];
    for await (const { frame, results } of service.streamEnqueue(frames)) answers.push([frame, errorsIn(results)]);
    assert.deepEqual(answers, [
      [1n, expected],
      [2n, [undefined]],
    ]);
    assert.equal((await server.stats(queue)).depth, 5);
  });

  test("a settlement of many that is wrong is refused alone", async (t) => {
    const server = await serverWithQueue(t);
    const { service } = server.clients("connect");
    await service.batchEnqueue({ messages: [{ queue }, { queue }] });
    const worker = new WorkerStream(service, { queue }, 2);
    const [first, second] = await worker.holds(2);
    const failures = await worker.settle("ACK", [
      first!,
      { message: { id: unknownId }, leaseToken: Buffer.alloc(8) },
      { message: { id: second!.message!.id }, leaseToken: Buffer.alloc(8) },
      { message: { id: second!.message!.id }, leaseToken: Buffer.alloc(3) },
    ]);
    assert.deepEqual(
      failures.map(({ index, error }) => [index, error?.code, error?.reason]),
      [
        [1, 5, "MESSAGE_NOT_FOUND"],
        [2, 9, "LEASE_LOST"],
        [3, 3, "INVALID_FIELD"],
      ],
    );
    assert.deepEqual(await worker.settle("ACK", [second!]), []);
    assert.equal((await server.stats(queue)).depth, 0);
    await worker.cancel();
    const settlements = [{ messageId: unknownId, leaseToken: Buffer.alloc(8), action: SettlementAction.ACK }];
    const { results } = await service.settle({ queue: "nowhere", settlements });
    assert.deepEqual(
      results.map(({ error }) => [error?.code, error?.reason]),
      [[5, "QUEUE_NOT_FOUND"]],
    );
  });
});

describe("what is no request at all", () => {
  test("JSON that is none, fields that do not exist, and procedures that do not", async (t) => {
    const server = await serverWithQueue(t);
    for (const [procedure, text, says] of [
      ["FilaService/Enqueue", '{"queue":', /JSON/i],
      ["FilaService/Enqueue", "", /JSON|empty/i],
      ["FilaService/Enqueue", '{"queue": 7}', /queue/],
      ["FilaService/Enqueue", '{"queue": "there", "payload": "%%%"}', /payload/],
      ["FilaService/Enqueue", '{"queue": "there", "delayMs": "-1"}', /delay_?ms/i],
      ["FilaService/Enqueue", '{"queue": "there", "ttlMs": -1}', /ttl_?ms/i],
      ["FilaAdmin/CreateQueue", '{"name": "new", "config": {"maxAttempts": -1}}', /max_?attempts/i],
      ["FilaAdmin/CreateQueue", "[]", /object|JSON/i],
    ] as const) {
      const answer = await server.post(procedure, text);
      const refusal = refusalOfJson(answer);
      assert.deepEqual(
        [answer.status, refusal?.code, refusal?.reason, refusal?.domain],
        [400, Code.InvalidArgument, "INVALID_REQUEST", "fila"],
        `${text}: ${JSON.stringify(answer.body)}`,
      );
      assert.match(refusal?.message ?? "", says, text);
    }
    assert.equal((await server.stats(queue)).depth, 0);
  });

  test("garbage, half requests and TLS on the port", async (t) => {
    const server = await serverWithQueue(t);
    for (const [bytes, answer] of [
      ["\x00\x01\x02 garbage\r\n\r\n", /^HTTP\/1\.1 400 [^]*not HTTP/],
      ["\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", /^HTTP\/1\.1 400 [^]*this is TLS/],
      [`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\xff".repeat(200)}`, /[^]*/],
    ] as const) {
      const socket = connectTcp(server.port, "127.0.0.1");
      let received = "";
      socket.setEncoding("latin1").on("data", (chunk: string) => (received += chunk));
      socket.on("error", () => undefined);
      socket.write(bytes, "latin1");
      await once(socket, "close");
      assert.match(received, answer);
    }
    for (const half of ["", "P", "POST /fila.v1.FilaService/Enqueue HTTP/1.1\r\ncontent-le"]) {
      const socket = connectTcp(server.port, "127.0.0.1");
      await once(socket, "connect");
      if (half !== "") await new Promise((resolve) => socket.write(half, resolve));
      socket.resetAndDestroy();
    }
    assert.equal((await server.stats(queue)).depth, 0, "it lives on");
    assert.equal(await server.stop(), 0);
  });
});
