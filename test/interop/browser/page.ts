// Runs in the browser: what a page of a web application does with the broker, over connect-web.
import { Code, ConnectError, type Transport, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { BadRequestSchema, ErrorInfoSchema, FilaAdmin, FilaService, type Message } from "@fila/sdk/gen";

export type TransportName = "connect" | "connect, JSON" | "gRPC-Web";

/** An error as plain data, so that it can leave the browser. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly reason: string | undefined;
  readonly field: string | undefined;
}

function transportOf(name: TransportName, baseUrl: string): Transport {
  if (name === "gRPC-Web") return createGrpcWebTransport({ baseUrl });
  return createConnectTransport({ baseUrl, useBinaryFormat: name === "connect" });
}

async function failureOf(call: () => Promise<unknown>): Promise<PlainError> {
  try {
    await call();
  } catch (error) {
    const failure = ConnectError.from(error);
    return {
      code: Code[failure.code],
      message: failure.rawMessage,
      reason: failure.findDetails(ErrorInfoSchema)[0]?.reason,
      field: failure.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field,
    };
  }
  throw new Error("the call must fail");
}

/** What the tests call by name. */
export const scenarios = {
  /** Creates a queue, enqueues, consumes, nacks once, acks: the attempts that it saw, and its payload. */
  async lifecycle(name: TransportName, url: string, queue: string) {
    const service = createClient(FilaService, transportOf(name, url));
    await createClient(FilaAdmin, transportOf(name, url)).createQueue({ name: queue });
    const payload = new TextEncoder().encode("größer");
    const { messageId } = await service.enqueue({ queue, payload, headers: { a: "b" } });
    const seen: { id: boolean; attempts: number | undefined; text: string; headers: Message["headers"] }[] = [];
    const abort = new AbortController();
    for await (const { message } of service.consume({ queue }, { signal: abort.signal })) {
      if (message === undefined) continue;
      seen.push({
        id: message.id === messageId,
        attempts: message.metadata?.attemptCount,
        text: new TextDecoder().decode(message.payload),
        headers: message.headers,
      });
      if (seen.length === 2) {
        await service.ack({ queue, messageId });
        break;
      }
      await service.nack({ queue, messageId, error: "not now" });
    }
    return seen;
  },

  /** Resolves with the answer's headers while there is no message, then with the message that is enqueued after that. */
  async subscription(name: TransportName, url: string, queue: string) {
    const service = createClient(FilaService, transportOf(name, url));
    const headers = Promise.withResolvers<string | null>();
    const abort = new AbortController();
    const responses = service.consume(
      { queue },
      { signal: abort.signal, onHeader: (received) => headers.resolve(received.get("content-type")) },
    );
    const first = (async () => {
      for await (const { message } of responses) if (message !== undefined) return message.id;
      throw new Error("the stream ended");
    })();
    const contentType = await headers.promise;
    const { messageId } = await service.enqueue({ queue });
    return { contentType, same: (await first) === messageId };
  },

  /** Holds a message: its page is closed before it is settled. Returns its attempts. */
  async hold(name: TransportName, url: string, queue: string) {
    const service = createClient(FilaService, transportOf(name, url));
    for await (const { message } of service.consume({ queue })) {
      if (message !== undefined) return message.metadata?.attemptCount;
    }
    throw new Error("the stream ended");
  },

  async errors(name: TransportName, url: string) {
    const service = createClient(FilaService, transportOf(name, url));
    const admin = createClient(FilaAdmin, transportOf(name, url));
    return {
      enqueue: await failureOf(() => service.enqueue({ queue: "a: größer" })),
      consume: await failureOf(() => Array.fromAsync(service.consume({ queue: "nobody" }))),
      create: await failureOf(() => admin.createQueue({ name: "" })),
      // In gRPC-Web this answer is all headers, which a page may read only if the broker exposes them.
      elsewhere: await failureOf(() => createClient(FilaService, transportOf(name, `${url}/no`)).enqueue({})),
    };
  },

  async createQueue(name: TransportName, url: string, queue: string) {
    return failureOf(() => createClient(FilaAdmin, transportOf(name, url)).createQueue({ name: queue }));
  },
};

export type Scenarios = typeof scenarios;

Object.assign(globalThis, { scenarios });
