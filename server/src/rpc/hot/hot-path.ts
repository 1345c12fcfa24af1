// The hot methods on node:http2 by hand, in front of the RPC library: a unary call through the library costs ten times
// as much. It takes what is plain gRPC or plain Connect with protobuf; everything else goes on to the library, which
// reaches the same methods through `door`.
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Broker } from "../../broker/contract.ts";
import type { ConnectionId } from "../../core/commands.ts";
import { ruleOf } from "../access/authorization-table.ts";
import type { Rule } from "../access/authorization-table.ts";
import { admit } from "../access/caller.ts";
import type { Authenticator } from "../access/principal.ts";
import { codeOf } from "../wire/failure-wire.ts";
import type { MessageLimits } from "../wire/limits.ts";
import type { StreamMethod, UnaryMethod } from "./call.ts";
import { closeRequestHalf } from "./http2-call.ts";
import type { CallContext, CallReport, HotLimits, Http2Call } from "./http2-call.ts";
import { Door } from "./door.ts";
import { protocolOf, respondFailure } from "./protocols.ts";
import { StreamCall } from "./stream-call.ts";
import { streamMethods } from "./stream-methods.ts";
import { UnaryCall } from "./unary-call.ts";
import { unaryMethods } from "./unary-methods.ts";

export type { CallReport } from "./http2-call.ts";

export interface HotPathLimits extends MessageLimits, Partial<HotLimits> {}

export interface HotPathDeps {
  readonly broker: Broker;
  readonly limits: HotPathLimits;
  connectionOf(session: ServerHttp2Session): ConnectionId;
  readonly authenticate: Authenticator;
  /** Called at the end of each call that the hot path took. */
  onCall?(report: CallReport): void;
}

export interface HotPath {
  /** Takes the stream, or answers false: then it is for the RPC library, untouched. */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, connection?: ConnectionId): boolean;
  /** The same methods for the RPC library's transports. */
  readonly door: Door;
  /** The server is about to stop: streams of producers end after their results; other calls go on. */
  drain(): void;
  /** Answers what has no answer yet with UNAVAILABLE, and resolves when every call is over. */
  close(): Promise<void>;
}

const service = "/fila.v1.FilaService/";
const defaultHotLimits: HotLimits = { readMaxBytes: 4 * 1024 * 1024, maxTimeoutMs: 24 * 3_600_000, lateBodyMs: 1000 };

type Method = { readonly name: string; readonly rule: Rule } & (
  { readonly unary: UnaryMethod } | { readonly stream: StreamMethod }
);

function methodTable(): ReadonlyMap<string, Method> {
  const table = new Map<string, Method>();
  const add = (name: string, method: { readonly unary: UnaryMethod } | { readonly stream: StreamMethod }): void => {
    const rule = ruleOf(service + name);
    if (rule === undefined) throw new Error(`${name} has no row in the authorisation table`);
    table.set(service + name, { name, rule, ...method });
  };
  for (const [name, unary] of Object.entries(unaryMethods)) add(name, { unary });
  for (const [name, stream] of Object.entries(streamMethods)) add(name, { stream });
  return table;
}

export function createHotPath(deps: HotPathDeps): HotPath {
  const methods = methodTable();
  const active = new Set<Http2Call>();
  let whenIdle: (() => void) | undefined;
  let draining = false;
  const context: CallContext = {
    broker: deps.broker,
    messageLimits: deps.limits,
    hotLimits: { ...defaultHotLimits, ...deps.limits },
    active,
    over: () => {
      if (active.size === 0) whenIdle?.();
    },
    onCall: deps.onCall?.bind(deps),
  };
  const door = new Door(context);

  function handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, connection?: ConnectionId): boolean {
    const method = methods.get(headers[":path"] ?? "");
    if (method === undefined || headers[":method"] !== "POST") return false;
    const protocol = protocolOf(headers, "stream" in method);
    if (protocol === undefined) return false;
    const from = connection ?? deps.connectionOf(stream.session as ServerHttp2Session);
    const caller = admit(method.rule, deps.authenticate, headers, from);
    if ("reason" in caller) {
      respondFailure(stream, protocol, caller);
      closeRequestHalf(stream, context.hotLimits);
      context.onCall?.({ method: method.name, protocol: protocol.name, code: codeOf(caller), durationMs: 0 });
      return true;
    }
    const start = { method: method.name, stream, headers, protocol, caller };
    if ("unary" in method) new UnaryCall(context, start, method.unary);
    else {
      const call = new StreamCall(context, start, method.stream);
      if (draining) call.drain();
    }
    return true;
  }

  return {
    handle,
    door,
    drain() {
      draining = true;
      for (const call of active) call.drain();
      door.drain();
    },
    close() {
      draining = true;
      for (const call of active) call.stop();
      door.stop();
      return active.size === 0 ? Promise.resolve() : new Promise((resolve) => (whenIdle = resolve));
    },
  };
}
