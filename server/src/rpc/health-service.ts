// grpc.health.v1, for probes and for clients that choose among servers.
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import { HealthCheckResponse_ServingStatus as Status } from "@fila/sdk/gen/grpc";
import type { Health } from "@fila/sdk/gen/grpc";
import type { Broker } from "../broker/contract.ts";
import { connectError } from "./connect-error.ts";
import { stopping } from "./wire/failure-wire.ts";

/** "" is the server as a whole. Those of gRPC itself are not asked about: who gets an answer has it. */
const names: readonly string[] = ["", FilaService.typeName, FilaAdmin.typeName];

/** @param closing aborts when the port closes: every Watch says NOT_SERVING and ends */
export function healthService(
  broker: Pick<Broker, "state" | "onStateChange">,
  closing: AbortSignal,
): ServiceImpl<typeof Health> {
  // A broker that cannot store (readonly) takes no message and gives none.
  const now = (): Status => (broker.state === "serving" && !closing.aborted ? Status.SERVING : Status.NOT_SERVING);

  /** Changes that come faster than the client reads are joined: it learns the last one, and nothing piles up. */
  async function* watch({ service }: { service: string }, { signal }: HandlerContext) {
    let changed = Promise.withResolvers<unknown>();
    const wake = (): void => changed.resolve(undefined);
    const stopListening = broker.onStateChange(wake);
    signal.addEventListener("abort", wake);
    closing.addEventListener("abort", wake);
    try {
      for (let told: Status | undefined; ;) {
        // Before the state is read, so that no change falls between the two.
        changed = Promise.withResolvers<unknown>();
        const status = names.includes(service) ? now() : Status.SERVICE_UNKNOWN;
        const gone: unknown = signal.reason;
        if (signal.aborted) throw gone;
        if (status !== told) yield { status: (told = status) };
        else if (closing.aborted) throw connectError(stopping());
        else await changed.promise;
      }
    } finally {
      stopListening();
      signal.removeEventListener("abort", wake);
      closing.removeEventListener("abort", wake);
    }
  }

  return {
    check({ service }) {
      if (names.includes(service)) return { status: now() };
      const known = names.filter((name) => name !== "").join(", ");
      throw connectError({
        reason: "SERVICE_NOT_FOUND",
        message: `no service ${JSON.stringify(service.slice(0, 200))} is known here; ask for ${known}, or for "" (the whole server)`,
      });
    },
    watch,
    list: () => ({ statuses: Object.fromEntries(names.map((name) => [name, { status: now() }])) }),
  };
}
