// What the port answers to probes, to Prometheus, and to people who come with a browser: plain text over GET.
import type { Broker, BrokerState } from "../broker/contract.ts";
import type { ConnectionId } from "../core/commands.ts";
import type { Log } from "../telemetry/log.ts";
import { httpRules, ruleOf } from "./access/authorization-table.ts";
import { admit } from "./access/caller.ts";
import type { Authenticator } from "./access/principal.ts";
import { answerText, pathOf } from "./node-request.ts";
import type { NodeRequest, NodeResponse } from "./node-request.ts";
import { RareLog } from "./rare-log.ts";
import { failureToStatusDetails } from "./wire/failure-wire.ts";

export interface MetricsText {
  readonly contentType: string;
  readonly body: string;
}

export interface PagesOptions {
  readonly broker: Pick<Broker, "state">;
  /** What /metrics shows. One call at a time, however many ask. Absent: there are none. */
  readonly metrics?: (() => Promise<MetricsText>) | undefined;
  /** How long /metrics may take. */
  readonly metricsTimeoutMs: number;
  readonly authenticate: Authenticator;
  readonly log: Log;
}

/** Answers, or says that the request is none for a page: then it is for the RPC library, untouched. */
export type Pages = (request: NodeRequest, response: NodeResponse, connection: ConnectionId) => boolean;

type PageName = keyof typeof httpRules;
type Page = (request: NodeRequest, response: NodeResponse) => void;

const notReady: Readonly<Record<Exclude<BrokerState, "serving">, string>> = {
  starting: "starting: the store is being read",
  readonly: "readonly: a write to the store failed; the broker reopens it and goes on by itself",
  draining: "draining: the broker is about to stop",
  stopped: "stopped",
};

export function createPages({ broker, metrics, metricsTimeoutMs, authenticate, log }: PagesOptions): Pages {
  const rarely = new RareLog(log);
  const readMetrics = metrics === undefined ? undefined : oneAtATime(metrics, metricsTimeoutMs);

  const pages: Readonly<Record<PageName, Page>> = {
    "/": (request, response) => answerText(request, response, 200, whatThisIs(request, broker.state)),
    "/healthz": (request, response) => answerText(request, response, 200, "ok\n"),
    "/readyz"(request, response) {
      const { state } = broker;
      if (state === "serving") answerText(request, response, 200, "ready\n");
      else answerText(request, response, 503, `${notReady[state]}\n`);
    },
    "/metrics"(request, response) {
      if (readMetrics === undefined) {
        answerText(request, response, 404, "this broker counts nothing; set telemetry.metrics = true\n");
        return;
      }
      readMetrics().then(
        ({ contentType, body }) => answerText(request, response, 200, body, { "content-type": contentType }),
        (error: unknown) => {
          rarely.error("metrics could not be read", error);
          answerText(request, response, 500, "the metrics could not be read; the broker's log says why\n");
        },
      );
    },
  };

  return (request, response, connection) => {
    const path = pathOf(request);
    const reads = request.method === "GET" || request.method === "HEAD";
    if (!isPage(path)) {
      // A procedure knows best what is wrong with a GET; a POST to anywhere is a call.
      if (!reads || ruleOf(path) !== undefined) return false;
      answerText(request, response, 404, 'there is nothing at this path; "GET /" says what this port is\n');
      return true;
    }
    if (!reads) {
      // A call to the root is one to a procedure without a name.
      if (path === "/") return false;
      answerText(request, response, 405, `${path} is read with GET\n`, { allow: "GET, HEAD" });
      return true;
    }
    const caller = admit(httpRules[path], authenticate, request.headers, connection);
    if ("reason" in caller) {
      const { httpStatus, message } = failureToStatusDetails(caller);
      answerText(request, response, httpStatus, `${message}\n`, { "www-authenticate": "Bearer" });
    } else pages[path](request, response);
    return true;
  };
}

function isPage(path: string): path is PageName {
  return Object.hasOwn(httpRules, path);
}

/** Who asks while a reading is under way gets the same one; after `timeoutMs` nobody waits for it any more. */
function oneAtATime<T>(read: () => Promise<T>, timeoutMs: number): () => Promise<T> {
  let current: Promise<T> | undefined;
  return () => {
    current ??= Promise.try(read).finally(() => (current = undefined));
    const reading = current;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not read within ${timeoutMs} ms`)), timeoutMs);
      const settled = (): void => clearTimeout(timer);
      void reading.then(resolve, reject).finally(settled);
    });
  };
}

function whatThisIs(request: NodeRequest, state: BrokerState): string {
  const headers: { host?: string | undefined; ":authority"?: string | undefined } = request.headers;
  const host = headers[":authority"] ?? headers.host ?? "";
  const url = `http://${/^[\w.:[\]-]{1,255}$/.test(host) ? host : "127.0.0.1:5555"}`;
  return `This is a Fila message broker. It ${state === "serving" ? "is ready" : `is not ready (${notReady[state]})`}.

Calls are gRPC, gRPC-Web or Connect; with curl:

  curl ${url}/fila.v1.FilaAdmin/ListQueues -H 'content-type: application/json' -d '{}'

What can be called, by server reflection:

  buf curl --http2-prior-knowledge ${url} --list-methods

For probes and monitoring:

  GET ${url}/healthz   whether it is alive
  GET ${url}/readyz    whether it takes calls
  GET ${url}/metrics   figures for Prometheus
`;
}
