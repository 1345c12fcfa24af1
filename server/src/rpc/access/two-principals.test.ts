// Leases are held by the principal that took them: two of them over one broker, each allowed all of the queue.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConnectError, createClient } from "@connectrpc/connect";
import type { Client, Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, FilaService, SettlementAction } from "@fila/sdk/gen";
import { openBroker } from "../../broker/open-broker.ts";
import { openMemoryStorage } from "../../storage/memory/memory-storage.ts";
import { startFixture } from "../testing/rpc-fixture.ts";
import { GrantedPrincipal } from "./granted-principal.ts";
import { permissions } from "./pattern.ts";
import { byKey } from "./testing/guarded-server.ts";

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  "by hand": (baseUrl) => createGrpcTransport({ baseUrl, acceptCompression: [] }),
  "by the library": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
};

const log = { info: () => {}, warn: () => {}, error: () => {} };
const alice = { headers: { authorization: "Bearer alice" } };
const bob = { headers: { authorization: "Bearer bob" } };

async function outcomeOf(answer: Promise<unknown>): Promise<string | undefined> {
  try {
    await answer;
    return "ok";
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error.findDetails(ErrorInfoSchema)[0]?.reason;
  }
}

/** Consumes one message, and keeps the stream open until the function is called. */
async function consumed(client: Client<typeof FilaService>) {
  const abort = new AbortController();
  const stream = client.consume({ queue: "q" }, { ...alice, signal: abort.signal })[Symbol.asyncIterator]();
  for (;;) {
    const { value, done } = await stream.next();
    assert.ok(done !== true);
    if (value.message !== undefined) return { messageId: value.message.id, leave: () => abort.abort() };
  }
}

for (const [name, connect] of Object.entries(transports)) {
  describe(name, () => {
    test("nobody settles what another principal holds, with or without its token", async (t) => {
      const broker = await openBroker({ open: async () => openMemoryStorage(), log, fatal: assert.ifError });
      t.after(() => broker.stop(0));
      const grants = permissions.map((kind) => ({ kind, pattern: "q" }));
      const principals = ["alice", "bob"].map((id) => [id, new GrantedPrincipal(id, grants)] as const);
      const { url } = await startFixture(t, { broker, authenticate: byKey(new Map(principals)) });
      const client = createClient(FilaService, connect(url));
      await broker.createQueue("q", {});
      await client.enqueue({ queue: "q" }, bob);

      const { messageId, leave } = await consumed(client);
      assert.equal(await outcomeOf(client.ack({ queue: "q", messageId }, bob)), "MESSAGE_NOT_FOUND");
      assert.equal(await outcomeOf(client.nack({ queue: "q", messageId }, bob)), "MESSAGE_NOT_FOUND");
      assert.equal(await outcomeOf(client.ack({ queue: "q", messageId }, alice)), "ok");
      leave();

      await client.enqueue({ queue: "q" }, bob);
      const [leased] = (await client.lease({ queue: "q", waitMs: 60_000n }, alice)).messages;
      const settlement = { messageId: leased!.message!.id, leaseToken: leased!.leaseToken };
      assert.equal(await outcomeOf(client.ack({ queue: "q", ...settlement }, bob)), "LEASE_LOST");
      for (const action of [
        SettlementAction.ACK,
        SettlementAction.NACK,
        SettlementAction.EXTEND,
        SettlementAction.RELEASE,
      ]) {
        const { results } = await client.settle({ queue: "q", settlements: [{ ...settlement, action }] }, bob);
        assert.equal(results[0]?.error?.reason, "LEASE_LOST", `action ${action}`);
      }
      const { results } = await client.settle(
        { queue: "q", settlements: [{ ...settlement, action: SettlementAction.ACK }] },
        alice,
      );
      assert.equal(results[0]?.error, undefined);
    });
  });
}
