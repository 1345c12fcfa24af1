// A real port in front of the real broker, over a store in memory and a clock that the test moves.
import type { TestContext } from "node:test";
import { ConnectError, createClient } from "@connectrpc/connect";
import type { Client, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema, FilaAdmin, FilaService } from "@fila/sdk/gen";
import type { LeasedMessage, MessageState } from "@fila/sdk/gen";
import type { Broker } from "../../broker/contract.ts";
import { openBroker } from "../../broker/open-broker.ts";
import { GatedStorage } from "../../broker/testing/gated-storage.ts";
import { ManualClock } from "../../broker/testing/manual-clock.ts";
import { openHooks } from "../../hooks/open-hooks.ts";
import { silentLog } from "../../telemetry/log.ts";
import { authenticateNobody } from "../access/principal.ts";
import type { Authenticator } from "../access/principal.ts";
import { startRpc } from "../rpc-server.ts";

export interface LiveServer {
  readonly admin: Client<typeof FilaAdmin>;
  readonly fila: Client<typeof FilaService>;
  readonly broker: Broker;
  readonly storage: GatedStorage;
  readonly clock: ManualClock;
  readonly url: string;
  /** Stops it, and starts another one from the same store. */
  restart(): Promise<LiveServer>;
  /** A write is rejected, and the broker starts anew from the store. */
  crash(): Promise<void>;
}

export interface LiveOptions {
  readonly storage?: GatedStorage;
  readonly clock?: ManualClock;
  readonly authenticate?: Authenticator;
  readonly connect?: (baseUrl: string) => Transport;
}

const binary = (baseUrl: string): Transport =>
  createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true });

export async function startLive(t: TestContext, options: LiveOptions = {}): Promise<LiveServer> {
  const { storage = new GatedStorage(), clock = new ManualClock(), authenticate = authenticateNobody } = options;
  const broker = await openBroker({
    open: storage.open,
    log: silentLog,
    clock,
    hooks: openHooks({ clock }),
    fatal: (error) => {
      throw error;
    },
  });
  const rpc = await startRpc({
    broker,
    host: "127.0.0.1",
    port: 0,
    maxConnections: 100,
    readMaxBytes: 4 * 1024 * 1024,
    maxMessageBytes: 1024 * 1024,
    authenticate,
    log: silentLog,
  });
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    rpc.drain();
    await broker.stop(0);
    await rpc.close(0);
  };
  t.after(() => {
    storage.gated = false;
    for (const { allow } of storage.held.splice(0)) allow();
    return (stopped ??= stop());
  });
  const url = `http://127.0.0.1:${rpc.port}`;
  const transport = (options.connect ?? binary)(url);
  return {
    admin: createClient(FilaAdmin, transport),
    fila: createClient(FilaService, transport),
    broker,
    storage,
    clock,
    url,
    async restart() {
      await (stopped ??= stop());
      return startLive(t, { ...options, storage, clock });
    },
    async crash() {
      storage.gated = true;
      const doubtful = broker.operations.setConfig("test.crash", String(storage.opened));
      (await storage.nextHeld()).reject("failed", false);
      storage.gated = false;
      await doubtful;
      await reopened(broker, clock);
    },
  };
}

/** Until the broker serves again after a rejected write. */
export async function reopened(broker: Broker, clock: ManualClock): Promise<void> {
  while (broker.state !== "serving") {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export interface Refused {
  readonly reason: string | undefined;
  readonly message: string;
  readonly field: string | undefined;
  readonly metadata: Readonly<Record<string, string>> | undefined;
}

/** Why a call was refused; throws when it was not. */
export async function refusalOf(answer: Promise<unknown> | AsyncIterable<unknown>): Promise<Refused> {
  try {
    if (Symbol.asyncIterator in answer) for await (const _ of answer);
    else await answer;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const [info] = error.findDetails(ErrorInfoSchema);
    const field = error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field;
    return { reason: info?.reason, message: error.rawMessage, field, metadata: info?.metadata };
  }
  throw new Error("the call succeeded");
}

/** Leases what there is at this moment. */
export async function leaseAll(fila: LiveServer["fila"], queue: string, maxMessages = 1_000): Promise<LeasedMessage[]> {
  return (await fila.lease({ queue, maxMessages, workerId: "w" })).messages;
}

export function textOf(message: { readonly message?: { readonly payload: Uint8Array } | undefined }): string {
  return Buffer.from(message.message?.payload ?? []).toString();
}

/** Payloads and states of all messages of a queue, oldest first. */
export async function shown(
  admin: LiveServer["admin"],
  queue: string,
): Promise<readonly (readonly [payload: string, state: MessageState])[]> {
  const { messages } = await admin.listMessages({ queue, limit: 1_000, withPayload: true });
  return messages.map((message) => [textOf(message), message.state] as const);
}
