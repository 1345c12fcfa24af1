// Every RPC as one call about a queue, with what came of it in a word: "ok" or the reason of the failure.
import { create } from "@bufbuild/protobuf";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import type { CallOptions, Transport } from "@connectrpc/connect";
import {
  Hook,
  ErrorInfoSchema,
  FilaAdmin,
  FilaService,
  SettlementAction,
  StreamEnqueueRequestSchema,
  StreamLeaseRequestSchema,
} from "@fila/sdk/gen";
import type { EnqueueResult } from "@fila/sdk/gen";
import { Health, reflectionV1, reflectionV1alpha } from "@fila/sdk/gen/grpc";

/** Resolves with "ok" or the reason of an item; rejects when the call fails as a whole. */
export type Call = (transport: Transport, queue: string, options: CallOptions) => Promise<string>;
type CallsOf<Service extends DescService> = Readonly<Record<keyof Service["method"], Call>>;

const messageId = "0190b5a0-0000-7000-8000-00000000abcd";
const leaseToken = Buffer.alloc(8, 1);

const fila = (transport: Transport) => createClient(FilaService, transport);
const admin = (transport: Transport) => createClient(FilaAdmin, transport);
const done = (answer: Promise<unknown>): Promise<string> => answer.then(() => "ok");

export const filaServiceCalls: CallsOf<typeof FilaService> = {
  enqueue: (t, queue, options) => done(fila(t).enqueue({ queue }, options)),
  batchEnqueue: async (t, queue, options) =>
    first((await fila(t).batchEnqueue({ messages: [{ queue }] }, options)).results),
  async streamEnqueue(t, queue, options) {
    const frame = create(StreamEnqueueRequestSchema, { frame: 1n, queue, messages: [{}] });
    for await (const { results } of fila(t).streamEnqueue(only(frame), options)) return first(results);
    return "ended";
  },
  async consume(t, queue, options) {
    const abort = new AbortController();
    for await (const { message } of fila(t).consume({ queue }, { ...options, signal: abort.signal })) {
      // The library sends an empty response first, to be able to send headers.
      if (message !== undefined) return "ok";
    }
    return "ended";
  },
  lease: (t, queue, options) => done(fila(t).lease({ queue }, options)),
  async streamLease(t, queue, options) {
    const request = create(StreamLeaseRequestSchema, { subscribe: { queue } });
    for await (const { subscribed } of fila(t).streamLease(only(request), options)) if (subscribed) return "ok";
    return "ended";
  },
  ack: (t, queue, options) => done(fila(t).ack({ queue, messageId }, options)),
  nack: (t, queue, options) => done(fila(t).nack({ queue, messageId }, options)),
  async settle(t, queue, options) {
    const settlements = [{ messageId, leaseToken, action: SettlementAction.ACK }];
    return (await fila(t).settle({ queue, settlements }, options)).results[0]?.error?.reason ?? "ok";
  },
};

export const filaAdminCalls: CallsOf<typeof FilaAdmin> = {
  createQueue: (t, name, options) => done(admin(t).createQueue({ name }, options)),
  deleteQueue: (t, queue, options) => done(admin(t).deleteQueue({ queue }, options)),
  updateQueue: (t, queue, options) => done(admin(t).updateQueue({ queue, maxAttempts: 3 }, options)),
  describeQueue: (t, queue, options) => done(admin(t).describeQueue({ queue }, options)),
  pauseQueue: (t, queue, options) => done(admin(t).pauseQueue({ queue }, options)),
  resumeQueue: (t, queue, options) => done(admin(t).resumeQueue({ queue }, options)),
  purgeQueue: (t, queue, options) => done(admin(t).purgeQueue({ queue }, options)),
  setKey: (t, queue, options) => done(admin(t).setKey({ queue, fairnessKey: "k", weight: 2 }, options)),
  listKeys: (t, queue, options) => done(admin(t).listKeys({ queue }, options)),
  listMessages: (t, queue, options) => done(admin(t).listMessages({ queue }, options)),
  getMessage: (t, queue, options) => done(admin(t).getMessage({ queue, messageId }, options)),
  cancelMessage: (t, queue, options) => done(admin(t).cancelMessage({ queue, messageId }, options)),
  explain: (t, queue, options) =>
    done(admin(t).explain({ queue, about: { case: "messageId", value: messageId } }, options)),
  listIdempotencyKeys: (t, queue, options) => done(admin(t).listIdempotencyKeys({ queue }, options)),
  releaseIdempotencyKey: (t, queue, options) =>
    done(admin(t).releaseIdempotencyKey({ queue, idempotencyKey: "k" }, options)),
  testHook: (t, queue, options) => done(admin(t).testHook({ queue, hook: Hook.ON_ENQUEUE, script: "x" }, options)),
  listHookErrors: (t, queue, options) => done(admin(t).listHookErrors({ queue }, options)),
  getStats: (t, queue, options) => done(admin(t).getStats({ queue }, options)),
  async redriveMessages(t, queue, options) {
    for await (const { done } of admin(t).redriveMessages({ dlqQueue: `${queue}.dlq` }, options)) if (done) return "ok";
    return "ended";
  },
  async watchConfig(t, queue, options) {
    for await (const _ of admin(t).watchConfig({ prefix: queue }, options)) return "ok";
    return "ended";
  },
  redrive: (t, queue, options) => done(admin(t).redrive({ dlqQueue: `${queue}.dlq` }, options)),
  listQueues: (t, _queue, options) => done(admin(t).listQueues({}, options)),
  setConfig: (t, queue, options) => done(admin(t).setConfig({ key: queue, value: "1" }, options)),
  getConfig: (t, queue, options) => done(admin(t).getConfig({ key: queue }, options)),
  listConfig: (t, queue, options) => done(admin(t).listConfig({ prefix: queue }, options)),
  createApiKey: (t, _queue, options) => done(admin(t).createApiKey({ name: "k" }, options)),
  revokeApiKey: (t, _queue, options) => done(admin(t).revokeApiKey({ keyId: "k" }, options)),
  listApiKeys: (t, _queue, options) => done(admin(t).listApiKeys({}, options)),
  setAcl: (t, pattern, options) =>
    done(admin(t).setAcl({ keyId: "k", permissions: [{ kind: "produce", pattern }] }, options)),
  getAcl: (t, _queue, options) => done(admin(t).getAcl({ keyId: "k" }, options)),
};

export const healthCalls: CallsOf<typeof Health> = {
  check: (t, _queue, options) => done(createClient(Health, t).check({}, options)),
  list: (t, _queue, options) => done(createClient(Health, t).list({}, options)),
  async watch(t, _queue, options) {
    for await (const { status } of createClient(Health, t).watch({}, options)) return status > 0 ? "ok" : "unknown";
    return "ended";
  },
};

type Reflection = typeof reflectionV1.ServerReflection | typeof reflectionV1alpha.ServerReflection;

const reflectionCalls = (service: Reflection): CallsOf<Reflection> => ({
  async serverReflectionInfo(t, _queue, options) {
    const list = { messageRequest: { case: "listServices" as const, value: "" } };
    for await (const { messageResponse } of createClient(service, t).serverReflectionInfo(only(list), options)) {
      return messageResponse.case === "listServicesResponse" ? "ok" : "unknown";
    }
    return "ended";
  },
});
export const reflectionV1Calls = reflectionCalls(reflectionV1.ServerReflection);
export const reflectionV1alphaCalls = reflectionCalls(reflectionV1alpha.ServerReflection);

/** What came of a call. */
export async function outcomeOf(answer: Promise<string>): Promise<string> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return error.findDetails(ErrorInfoSchema)[0]?.reason ?? `no reason: ${error.message}`;
  }
}

/** Whether the transport can carry the call: HTTP/1.1 has no streams in both directions. */
export const isBidi = (method: DescMethod): boolean => method.methodKind === "bidi_streaming";

function first(results: readonly EnqueueResult[]): string {
  const result = results[0]?.result;
  return result?.case === "error" ? result.value.reason : "ok";
}

async function* only<T>(request: T): AsyncIterable<T> {
  yield request;
}
