// fila.v1.FilaAdmin: each theme has its file in admin/.
import type { ServiceImpl } from "@connectrpc/connect";
import type { FilaAdmin } from "@fila/sdk/gen";
import type { Broker } from "../broker/contract.ts";
import { failure } from "../core/errors.ts";
import { configMethods } from "./admin/config.ts";
import { hookMethods } from "./admin/hooks.ts";
import { keyMethods } from "./admin/keys.ts";
import { messageMethods } from "./admin/messages.ts";
import { queueMethods } from "./admin/queues.ts";
import { redriveMethods } from "./admin/redrive.ts";
import { connectError } from "./connect-error.ts";

export function adminService(broker: Broker): ServiceImpl<typeof FilaAdmin> {
  const { operations } = broker;
  return {
    ...queueMethods(broker),
    ...keyMethods(operations),
    ...messageMethods(operations),
    ...redriveMethods(operations),
    ...hookMethods(operations),
    ...configMethods(operations),
    createApiKey: () => notYet("API keys (CreateApiKey)"),
    revokeApiKey: () => notYet("API keys (RevokeApiKey)"),
    listApiKeys: () => notYet("API keys (ListApiKeys)"),
    setAcl: () => notYet("access control lists (SetAcl)"),
    getAcl: () => notYet("access control lists (GetAcl)"),
  };
}

function notYet(what: string): never {
  throw connectError(failure("NOT_IMPLEMENTED", `${what}: not part of this version of the broker yet`));
}
