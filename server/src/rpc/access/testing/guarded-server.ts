// A real port that knows its callers by the key they send, in front of a fake broker that writes down what it is asked.
import type { TestContext } from "node:test";
import type { Broker } from "../../../broker/contract.ts";
import type { Operations } from "../../../broker/operations-contract.ts";
import { FakeBroker } from "../../testing/fake-broker.ts";
import { startFixture } from "../../testing/rpc-fixture.ts";
import type { Authenticator, Principal } from "../principal.ts";
import { unauthenticated } from "../refusals.ts";

export interface GuardedServer {
  readonly url: string;
  readonly broker: FakeBroker;
  /** Names of the calls that reached the broker. */
  readonly asked: string[];
}

/** `authorization: Bearer <key>`. */
export function byKey(principals: ReadonlyMap<string, Principal>): Authenticator {
  return ({ authorization }) =>
    principals.get(authorization?.replace(/^Bearer /, "") ?? "") ?? unauthenticated("no such key; send another one");
}

export async function startGuarded(t: TestContext, authenticate: Authenticator): Promise<GuardedServer> {
  const fake = new FakeBroker();
  const asked: string[] = [];
  const { url } = await startFixture(t, { broker: writtenDown(fake, asked), authenticate });
  return { url, broker: fake, asked };
}

/** Connections come and go whoever calls: they are not written down. */
function writtenDown<Asked extends Broker | Operations>(broker: Asked, asked: string[]): Asked {
  return new Proxy(broker, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (name === "operations") return writtenDown(member as Operations, asked);
      if (typeof member !== "function" || name === "nextConnection" || name === "disconnected") {
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      }
      return (...args: unknown[]): unknown => {
        asked.push(String(name));
        return member.apply(target, args) as unknown;
      };
    },
  });
}
