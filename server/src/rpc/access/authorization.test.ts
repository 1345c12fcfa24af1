// The authorisation table, cell by cell, as clients meet it. What is expected is written down here a second time, in
// other words than in the table.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import { Health, reflectionV1, reflectionV1alpha } from "@fila/sdk/gen/grpc";
import { GrantedPrincipal } from "./granted-principal.ts";
import type { Permission } from "./pattern.ts";
import { permissions } from "./pattern.ts";
import { anonymous } from "./principal.ts";
import type { Principal } from "./principal.ts";
import {
  filaAdminCalls,
  filaServiceCalls,
  healthCalls,
  isBidi,
  outcomeOf,
  reflectionV1Calls,
  reflectionV1alphaCalls,
} from "./testing/calls.ts";
import type { Call } from "./testing/calls.ts";
import { byKey, startGuarded } from "./testing/guarded-server.ts";

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  "gRPC (by hand and, for FilaAdmin, by the library)": (baseUrl) =>
    createGrpcTransport({ baseUrl, acceptCompression: [] }),
  "Connect (by hand and, for FilaAdmin, by the library)": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true, acceptCompression: [] }),
  "Connect JSON (by the library)": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
  "gRPC-Web (by the library)": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
  "Connect JSON over HTTP/1.1 (by the library)": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
};

/** Two queues, of which the second does not exist. */
const existing = "orders.eu";
const absent = "orders.none";

/** What each principal of the tests may do: its permissions, and how far they reach from the queue of the call. */
interface Reach {
  readonly kinds: readonly Permission[];
  readonly reach: "nothing" | "the queue" | "the queue and its DLQ" | "everything";
}

interface Cell extends Reach {
  readonly key: string;
  readonly principal: Principal;
}

function cellsFor(queue: string): readonly Cell[] {
  const cells: Cell[] = [
    { key: "anonymous", principal: anonymous, kinds: permissions, reach: "everything" },
    { key: "superadmin", principal: new GrantedPrincipal("s", "superadmin"), kinds: permissions, reach: "everything" },
    { key: "nothing", principal: new GrantedPrincipal("n", []), kinds: [], reach: "nothing" },
  ];
  for (const kind of permissions) {
    const add = (name: string, reach: Reach["reach"], ...patterns: string[]): void => {
      const key = `${kind}-${name}`;
      const grants = patterns.map((pattern) => ({ kind, pattern }));
      cells.push({ key, principal: new GrantedPrincipal(key, grants), kinds: [kind], reach });
    };
    add("on-it", "the queue", queue);
    add("on-it-and-its-dlq", "the queue and its DLQ", queue, `${queue}.dlq`);
    add("on-another", "nothing", "orders.us", "order", "orders", "orders.eux", queue.toUpperCase());
    add("on-its-prefix", "the queue and its DLQ", "orders.*");
    add("on-other-prefixes", "nothing", "order.*", "orders.us.*", "eu.*");
    add("on-all", "everything", "*");
  }
  cells.push({
    // Each alone would be right for some call; none of them covers what another permission is for.
    key: "each-on-another",
    principal: new GrantedPrincipal(
      "e",
      permissions.map((kind) => ({ kind, pattern: "orders.us" })),
    ),
    kinds: permissions,
    reach: "nothing",
  });
  return cells;
}

type Needs = (cell: Reach) => boolean;
const onQueue =
  (...kinds: Permission[]): Needs =>
  (cell) =>
    cell.reach !== "nothing" && kinds.some((kind) => cell.kinds.includes(kind));
const onQueueAndItsDlq: Needs = (cell) => onQueue("admin")(cell) && cell.reach !== "the queue";
const adminEverywhere: Needs = (cell) => cell.reach === "everything" && cell.kinds.includes("admin");
const someAdminGrant: Needs = (cell) => cell.kinds.includes("admin");
const anybody: Needs = () => true;
const nobodyIsAsked = "nobody is asked";

const expected: Readonly<Record<string, Needs | typeof nobodyIsAsked>> = {
  Enqueue: onQueue("produce"),
  BatchEnqueue: onQueue("produce"),
  StreamEnqueue: onQueue("produce"),
  Consume: onQueue("consume"),
  Lease: onQueue("consume"),
  StreamLease: onQueue("consume"),
  Ack: onQueue("consume"),
  Nack: onQueue("consume"),
  Settle: onQueue("consume"),
  CreateQueue: onQueue("admin"),
  DeleteQueue: onQueue("admin"),
  GetStats: onQueue("consume", "admin"),
  UpdateQueue: onQueue("admin"),
  PauseQueue: onQueue("admin"),
  ResumeQueue: onQueue("admin"),
  PurgeQueue: onQueue("admin"),
  SetKey: onQueue("admin"),
  CancelMessage: onQueue("admin"),
  ReleaseIdempotencyKey: onQueue("admin"),
  DescribeQueue: onQueue("consume", "admin"),
  ListKeys: onQueue("consume", "admin"),
  ListMessages: onQueue("consume", "admin"),
  GetMessage: onQueue("consume", "admin"),
  Explain: onQueue("consume", "admin"),
  ListIdempotencyKeys: onQueue("consume", "admin"),
  TestHook: onQueue("admin"),
  ListHookErrors: onQueue("admin"),
  Redrive: onQueueAndItsDlq,
  RedriveMessages: onQueueAndItsDlq,
  WatchConfig: adminEverywhere,
  ListQueues: anybody,
  SetConfig: adminEverywhere,
  GetConfig: adminEverywhere,
  ListConfig: adminEverywhere,
  CreateApiKey: someAdminGrant,
  RevokeApiKey: someAdminGrant,
  ListApiKeys: someAdminGrant,
  GetAcl: someAdminGrant,
  // What is given there is a permission on the queue.
  SetAcl: onQueue("admin"),
  Check: nobodyIsAsked,
  List: nobodyIsAsked,
  Watch: nobodyIsAsked,
  ServerReflectionInfo: anybody,
};

const callsOf = (service: DescService, calls: Readonly<Record<string, Call>>): (readonly [DescMethod, Call])[] =>
  service.methods.map((method) => [method, calls[method.localName]!]);
const rpcs = [
  ...callsOf(FilaService, filaServiceCalls),
  ...callsOf(FilaAdmin, filaAdminCalls),
  ...callsOf(Health, healthCalls),
  ...callsOf(reflectionV1.ServerReflection, reflectionV1Calls),
  ...callsOf(reflectionV1alpha.ServerReflection, reflectionV1alphaCalls),
];

for (const [name, connect] of Object.entries(transports)) {
  describe(name, () => {
    for (const [method, call] of rpcs) {
      if (name.includes("1.1") && isBidi(method)) continue;
      for (const queue of [existing, absent]) {
        test(`${method.parent.name}/${method.name} ${queue === existing ? "of a queue" : "of a queue that does not exist"}`, async (t) => {
          const cells = cellsFor(queue);
          const principals = new Map(cells.map(({ key, principal }) => [key, principal]));
          const { url, broker, asked } = await startGuarded(t, byKey(principals));
          const transport = connect(url);
          const outcome = async (key: string | undefined): Promise<string> => {
            broker.queues.clear();
            await broker.createQueue(existing, {});
            // For Consume, which says nothing until it delivers.
            broker.enqueue(
              [{ queue: existing, fairnessKey: "", weight: 0, cost: 1, throttleKeys: [], body: Buffer.alloc(0) }],
              () => {},
            );
            asked.length = 0;
            const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
            return outcomeOf(call(transport, queue, { headers }));
          };

          const unhindered = await outcome("superadmin");
          assert.doesNotMatch(unhindered, /PERMISSION_DENIED|UNAUTHENTICATED|no reason/);
          const keyless = [undefined, "", "wrong", "admin-on-all2"];
          const needs = expected[method.name]!;
          if (needs === nobodyIsAsked) {
            for (const key of [...keyless, "nothing"]) assert.equal(await outcome(key), unhindered);
            return;
          }
          for (const key of keyless) {
            assert.equal(await outcome(key), "UNAUTHENTICATED", `key ${key}`);
            assert.deepEqual(asked, [], `key ${key} reached the broker`);
          }
          let refused = 0;
          for (const cell of cells) {
            const permitted = needs(cell);
            assert.equal(await outcome(cell.key), permitted ? unhindered : "PERMISSION_DENIED", cell.key);
            if (permitted) continue;
            refused += 1;
            assert.deepEqual(asked, [], `${cell.key} reached the broker`);
          }
          assert.equal(refused > 0, needs !== anybody, "somebody is refused");
        });
      }
    }
  });
}
