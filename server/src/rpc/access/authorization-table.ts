// Who may make which call: one row per RPC, and per path that is plain HTTP. There is no other place that says so. A
// service whose descriptor has a method without a row does not compile, and fails a test.
import type { DescService, MessageShape } from "@bufbuild/protobuf";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import type { AclPermission } from "@fila/sdk/gen";
import { Health, reflectionV1, reflectionV1alpha } from "@fila/sdk/gen/grpc";
import { dlqSuffix } from "../../core/queue-name.ts";
import { EVERY_QUEUE } from "./pattern.ts";
import type { Permission } from "./pattern.ts";

/** What a call would give to a key, as far as the request says it. */
export interface GivenAccess {
  readonly superadmin: boolean;
  readonly grants: readonly Pick<AclPermission, "kind" | "pattern">[];
}

/** What it takes to make a call. `never`: of any request. */
export type Rule<Request = never> =
  /** Nothing: nobody is asked who it is. */
  | { readonly scope: "nobody asked" }
  /** To be a principal, with whatever permissions. */
  | { readonly scope: "any principal" }
  /** The same, and the answer shows no more than the queues that the caller has a permission on. */
  | { readonly scope: "filtered answer" }
  /** One of the permissions on each queue that a request, or a message in it, names. The methods of FilaService read
   * them off the wire, and ask with what they read (Caller.refusal) before they ask the broker. */
  | { readonly scope: "queue named"; readonly anyOf: readonly Permission[] }
  /** One of the permissions on each of the queues (or patterns). */
  | { readonly scope: "queues"; readonly anyOf: readonly Permission[]; readonly queues: (request: Request) => string[] }
  /** An admin grant, whose patterns cover everything that the call gives; only a superadmin makes superadmins. What the
   * key had before, and whose key it is, only the handler can know: it asks for them the same (Caller.refusalToGive). */
  | { readonly scope: "own grants"; readonly gives: (request: Request) => GivenAccess };

type RulesOf<Service extends DescService> = {
  readonly [Method in keyof Service["method"]]: Rule<MessageShape<Service["method"][Method]["input"]>>;
};

const nobodyAsked = { scope: "nobody asked" } as const;
const anyPrincipal = { scope: "any principal" } as const;
const produce = { scope: "queue named", anyOf: ["produce"] } as const;
const consume = { scope: "queue named", anyOf: ["consume"] } as const;
/** Requests that name their queue in a field of that name. */
const adminOnIt = { scope: "queues", anyOf: ["admin"], queues: ({ queue }: { queue: string }) => [queue] } as const;
const consumeOrAdminOnIt = { ...adminOnIt, anyOf: ["consume", "admin"] } as const;
const adminOnBothEnds = {
  scope: "queues",
  anyOf: ["admin"],
  queues: ({ dlqQueue }: { dlqQueue: string }) => sourceAndDestination(dlqQueue),
} as const;
const adminOnEverything = { scope: "queues", anyOf: ["admin"], queues: () => [EVERY_QUEUE] } as const;
const givesNothing = { scope: "own grants", gives: () => ({ superadmin: false, grants: [] }) } as const;

export const filaServiceRules: RulesOf<typeof FilaService> = {
  enqueue: produce,
  batchEnqueue: produce,
  streamEnqueue: produce,
  consume,
  lease: consume,
  streamLease: consume,
  ack: consume,
  nack: consume,
  settle: consume,
};

export const filaAdminRules: RulesOf<typeof FilaAdmin> = {
  createQueue: { scope: "queues", anyOf: ["admin"], queues: ({ name }) => [name] },
  deleteQueue: adminOnIt,
  updateQueue: adminOnIt,
  pauseQueue: adminOnIt,
  resumeQueue: adminOnIt,
  purgeQueue: adminOnIt,
  setKey: adminOnIt,
  cancelMessage: adminOnIt,
  releaseIdempotencyKey: adminOnIt,
  getStats: consumeOrAdminOnIt,
  describeQueue: consumeOrAdminOnIt,
  listKeys: consumeOrAdminOnIt,
  listMessages: consumeOrAdminOnIt,
  getMessage: consumeOrAdminOnIt,
  explain: consumeOrAdminOnIt,
  listIdempotencyKeys: consumeOrAdminOnIt,
  // Whose script it is, and who could set it anyway. One that belongs to no queue can read the configuration.
  testHook: { scope: "queues", anyOf: ["admin"], queues: ({ queue }) => [queue === "" ? EVERY_QUEUE : queue] },
  listHookErrors: adminOnIt,
  redrive: adminOnBothEnds,
  redriveMessages: adminOnBothEnds,
  listQueues: { scope: "filtered answer" },
  setConfig: adminOnEverything,
  getConfig: adminOnEverything,
  listConfig: adminOnEverything,
  watchConfig: adminOnEverything,
  createApiKey: { scope: "own grants", gives: ({ isSuperadmin }) => ({ superadmin: isSuperadmin, grants: [] }) },
  setAcl: { scope: "own grants", gives: ({ permissions }) => ({ superadmin: false, grants: permissions }) },
  revokeApiKey: givesNothing,
  listApiKeys: givesNothing,
  getAcl: givesNothing,
};

// Probes have no keys.
export const healthRules: RulesOf<typeof Health> = { check: nobodyAsked, list: nobodyAsked, watch: nobodyAsked };

const reflectionRules = { serverReflectionInfo: anyPrincipal } as const;
export const reflectionV1Rules: RulesOf<typeof reflectionV1.ServerReflection> = reflectionRules;
export const reflectionV1alphaRules: RulesOf<typeof reflectionV1alpha.ServerReflection> = reflectionRules;

/** Plain HTTP. */
export const httpRules = {
  "/": nobodyAsked,
  "/healthz": nobodyAsked,
  "/readyz": nobodyAsked,
  "/metrics": anyPrincipal,
} as const satisfies Readonly<Record<string, Rule>>;

/** A dead-letter queue belongs to the queue of its name without the suffix: redriven messages go there. */
function sourceAndDestination(dlq: string): string[] {
  return dlq.endsWith(dlqSuffix) ? [dlq, dlq.slice(0, -dlqSuffix.length)] : [dlq];
}

function rulesByPath(): ReadonlyMap<string, Rule> {
  const paths = new Map<string, Rule>(Object.entries(httpRules));
  const add = <Service extends DescService>(service: Service, rules: RulesOf<Service>): void => {
    for (const { localName, name } of service.methods) {
      const rule = (rules as Readonly<Record<string, Rule | undefined>>)[localName];
      if (rule !== undefined) paths.set(`/${service.typeName}/${name}`, rule);
    }
  };
  add(FilaService, filaServiceRules);
  add(FilaAdmin, filaAdminRules);
  add(Health, healthRules);
  add(reflectionV1.ServerReflection, reflectionV1Rules);
  add(reflectionV1alpha.ServerReflection, reflectionV1alphaRules);
  return paths;
}

const byPath = rulesByPath();

/** The row of an RPC ("/fila.v1.FilaService/Enqueue") or of a path of plain HTTP; undefined = there is no such call. */
export function ruleOf(path: string): Rule | undefined {
  return byPath.get(path);
}
