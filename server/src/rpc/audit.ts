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
    createApiKey: { reads: false, about: ({ name, isSuperadmin }) => ({ key_name: name, superadmin: isSuperadmin }) },
    revokeApiKey: { reads: false, about: ({ keyId }) => ({ key_id: keyId }) },
    listApiKeys: { reads: true, about: () => ({}) },
    setAcl: { reads: false, about: ({ keyId, permissions }) => ({ key_id: keyId, grants: permissions.length }) },
    getAcl: { reads: true, about: ({ keyId }) => ({ key_id: keyId }) },
  };

/** Around everything else, so that it sees what the client sees. */
export function audit(log: Log): Interceptor {
  return (next) => async (request) => {
    if (request.service.typeName !== FilaAdmin.typeName || request.stream) return next(request);
    // The method was found by its path, so the request is of its type.
    const { reads, about } = audited[request.method.localName as keyof typeof audited] as Audited<DescMethod>;
    const { principal } = request.contextValues.get(callerKey);
    const write = (result: string, denied = false): void => {
      const line = {
        method: request.method.name,
        principal: principal || "anonymous",
        ...about(request.message),
        result,
      };
      if (denied) log.warn("admin call denied", line);
      else log[reads ? "debug" : "info"]("admin call", line);
    };
    try {
      const response = await next(request);
      write("ok");
      return response;
    } catch (reason) {
      const error = ConnectError.from(reason);
      write(reasonOf(error), error.code === Code.PermissionDenied || error.code === Code.Unauthenticated);
      throw reason;
    }
  };
}

/** In the words of docs/errors.md. */
function reasonOf(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[error.code];
}
