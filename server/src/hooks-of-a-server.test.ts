// A server as it is composed: scripts run in their thread, lua.* holds, and what they do is measured.
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog, startServer } from "./index.ts";

test("a server runs scripts in a thread of their own, by the settings of lua.*", async (t) => {
  const settings = {
    "server.listen_addr": "127.0.0.1:0",
    "lua.default_timeout_ms": 1,
    "lua.circuit_breaker_threshold": 2,
    "lua.circuit_breaker_cooldown_ms": 3_600_000,
  };
  const server = await startServer(settings, { log: silentLog, storage: "memory" });
  t.after(() => server.stop());
  const call = async (method: string, request: object): Promise<Record<string, unknown>> => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${server.url}/fila.v1.${method}`, {
      ...{ method: "POST", headers, body: JSON.stringify(request) },
    });
    return (await response.json()) as Record<string, unknown>;
  };
  const onEnqueueScript = `function on_enqueue(msg)
    for i = 1, tonumber(msg.headers.rounds) do end
    return { fairness_key = "decided" }
  end`;
  await call("FilaAdmin/CreateQueue", { name: "q", config: { onEnqueueScript } });
  // 10,000 steps are what a call has.
  for (const rounds of ["1000", "20000", "20000", "1000"]) {
    assert.ok("messageId" in (await call("FilaService/Enqueue", { queue: "q", headers: { rounds } })));
  }
  const { onEnqueue } = await call("FilaAdmin/DescribeQueue", { queue: "q" });
  const { breaker, calls, failures } = onEnqueue as Record<string, unknown>;
  assert.deepEqual([breaker, calls, failures], ["BREAKER_STATE_OPEN", "3", "2"]);
  const { stepBudget } = await call("FilaAdmin/TestHook", { queue: "q", hook: "HOOK_ON_ENQUEUE" });
  assert.equal(stepBudget, "10000");
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  for (const line of [
    'fila_hook_calls_total{queue="q"} 3',
    'fila_hook_failures_total{queue="q"} 2',
    'fila_hook_skips_total{queue="q"} 1',
    'fila_hook_errors_total{reason="instructions"} 2',
    "fila_hook_duration_seconds_count 3",
    "fila_hook_open_breakers 1",
    "fila_hook_waiting 0",
    "fila_hook_threads_lost_total 0",
  ]) {
    assert.ok(metrics.includes(`\n${line}`), line);
  }
});
