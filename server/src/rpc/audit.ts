// The audit log: one line per admin call, with who, what, on what, and the result. A line holds names only: never a value,
// a script or a key.
import type { DescMethod, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Interceptor } from "@connectrpc/connect";
import { ErrorInfoSchema, FilaAdmin } from "@fila/sdk/gen";
import type { Log, LogFields } from "../telemetry/log.ts";
import { callerKey } from "./access/caller.ts";

interface Audited<Method extends DescMethod> {
  /** It changes nothing: dashboards make such calls all the time, so they stand in the log at the level debug, unless
   * they were denied. */
  readonly reads: boolean;
  /** What the call is about. */
  readonly about: (request: MessageShape<Method["input"]>) => LogFields;
}

/** A method without a row does not compile. */
const audited: { readonly [Name in keyof (typeof FilaAdmin)["method"]]: Audited<(typeof FilaAdmin)["method"][Name]> } =
  {
    createQueue: { reads: false, about: ({ name }) => ({ queue: name }) },
    deleteQueue: { reads: false, about: ({ queue }) => ({ queue }) },
    listQueues: { reads: true, about: () => ({}) },
    getStats: { reads: true, about: ({ queue }) => ({ queue }) },
    redrive: { reads: false, about: ({ dlqQueue, count }) => ({ queue: dlqQueue, count: Number(count) }) },
    setConfig: { reads: false, about: ({ key }) => ({ config_key: key }) },
    getConfig: { reads: true, about: ({ key }) => ({ config_key: key }) },
    listConfig: { reads: true, about: ({ prefix }) => ({ config_prefix: prefix }) },
    updateQueue: { reads: false, about: ({ queue }) => ({ queue }) },
    describeQueue: { reads: true, about: ({ queue }) => ({ queue }) },
    pauseQueue: { reads: false, about: ({ queue }) => ({ queue }) },
    resumeQueue: { reads: false, about: ({ queue }) => ({ queue }) },
    purgeQueue: { reads: false, about: ({ queue }) => ({ queue }) },
    setKey: { reads: false, about: ({ queue, fairnessKey }) => ({ queue, fairness_key: fairnessKey }) },
    listKeys: { reads: true, about: ({ queue }) => ({ queue }) },
    listMessages: { reads: true, about: ({ queue }) => ({ queue }) },
    getMessage: { reads: true, about: ({ queue, messageId }) => ({ queue, message_id: messageId }) },
    cancelMessage: { reads: false, about: ({ queue, messageId }) => ({ queue, message_id: messageId }) },
    explain: { reads: true, about: ({ queue }) => ({ queue }) },
    redriveMessages: {
      reads: false,
      about: ({ dlqQueue, count, dryRun }) => ({ queue: dlqQueue, count: Number(count), dry_run: dryRun }),
    },
    watchConfig: { reads: true, about: ({ prefix }) => ({ config_prefix: prefix }) },
    listIdempotencyKeys: { reads: true, about: ({ queue }) => ({ queue }) },
    releaseIdempotencyKey: { reads: false, about: ({ queue }) => ({ queue }) },
    testHook: { reads: true, about: ({ queue }) => ({ queue }) },
    listHookErrors: { reads: true, about: ({ queue }) => ({ queue }) },
    createApiKey: { reads: false, about: ({ name, isSuperadmin }) => ({ key_name: name, superadmin: isSuperadmin }) },
    revokeApiKey: { reads: false, about: ({ keyId }) => ({ key_id: keyId }) },
    listApiKeys: { reads: true, about: () => ({}) },
    setAcl: { reads: false, about: ({ keyId, permissions }) => ({ key_id: keyId, grants: permissions.length }) },
    getAcl: { reads: true, about: ({ keyId }) => ({ key_id: keyId }) },
  };

/** Around everything else, so that it sees what the client sees. */
export function audit(log: Log): Interceptor {
  return (next) => async (request) => {
    if (request.service.typeName !== FilaAdmin.typeName) return next(request);
    // The method was found by its path, so the request is of its type.
    const { reads, about } = audited[request.method.localName as keyof typeof audited] as Audited<DescMethod>;
    const { principal } = request.contextValues.get(callerKey);
    let asked: MessageShape<DescMethod["input"]> | undefined;
    const write = (result: string, denied = false): void => {
      const line = {
        method: request.method.name,
        principal: principal || "anonymous",
        ...(asked === undefined ? {} : about(asked)),
        result,
      };
      if (denied) log.warn("admin call denied", line);
      else log[reads ? "debug" : "info"]("admin call", line);
    };
    const failed = (reason: unknown): void => {
      const error = ConnectError.from(reason);
      write(reasonOf(error), error.code === Code.PermissionDenied || error.code === Code.Unauthenticated);
    };
    try {
      if (!request.stream) {
        asked = request.message;
        const response = await next(request);
        write("ok");
        return response;
      }
      const message = noted(request.message, (first) => (asked ??= first));
      const response = await next({ ...request, message });
      if (!response.stream) return response;
      // The line is written when the stream is over, as its result is known then.
      return { ...response, message: ended(response.message, () => write("ok"), failed) };
    } catch (reason) {
      failed(reason);
      throw reason;
    }
  };
}

async function* noted<T>(messages: AsyncIterable<T>, note: (message: T) => void): AsyncIterable<T> {
  for await (const message of messages) {
    note(message);
    yield message;
  }
}

async function* ended<T>(
  messages: AsyncIterable<T>,
  done: () => void,
  failed: (reason: unknown) => void,
): AsyncIterable<T> {
  let over = false;
  try {
    yield* messages;
    over = true;
    done();
  } catch (reason) {
    over = true;
    failed(reason);
    throw reason;
  } finally {
    // The client left before the end.
    if (!over) done();
  }
}

/** In the words of docs/errors.md. */
function reasonOf(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[error.code];
}
