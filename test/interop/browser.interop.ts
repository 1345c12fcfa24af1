// A page in a browser speaks to the broker itself, over connect-web. It comes from another origin, so the broker must
// have been told to allow that.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { ServerProcess } from "../e2e/server-process.ts";
import { PageServer, inPage, openPage, startBrowser } from "./browser.ts";
import type { TransportName } from "./browser/page.ts";
import { suiteScope } from "./suite-scope.ts";

const transports: readonly (readonly [TransportName, RegExp])[] = [
  ["connect", /^application\/connect\+proto/],
  ["connect, JSON", /^application\/connect\+json/],
  ["gRPC-Web", /^application\/grpc-web/],
];

describe("a browser", () => {
  const scope = suiteScope();
  let browser: Browser;
  let origin: string;
  before(async () => {
    browser = await startBrowser(scope);
    const pages = await PageServer.start(scope);
    await pages.serve('import "./browser/page.ts";');
    origin = pages.origin;
  });

  for (const [name, contentType] of transports) {
    describe(`over ${name}, from an allowed origin`, () => {
      let server: ServerProcess;
      before(async () => {
        server = await ServerProcess.start(scope, { env: { FILA_SERVER_CORS_ORIGINS: origin } });
      });

      test("creates a queue, enqueues, consumes, nacks and acks", async () => {
        const page = await openPage(browser, origin);
        const seen = { id: true, text: "größer", headers: { a: "b" } };
        assert.deepEqual(await inPage(page, "lifecycle", name, server.url, "lifecycle"), [
          { ...seen, attempts: 0 },
          { ...seen, attempts: 1 },
        ]);
        assert.equal((await server.stats("lifecycle")).depth, 0);
        await page.close();
      });

      test("is subscribed before there is a message", async () => {
        await server.ok("FilaAdmin/CreateQueue", { name: "subscribed" });
        const page = await openPage(browser, origin);
        const subscription = await inPage(page, "subscription", name, server.url, "subscribed");
        assert.match(subscription.contentType ?? "", contentType);
        assert.equal(subscription.same, true);
        await page.close();
      });

      test("reads errors with reason, field and text", async () => {
        const page = await openPage(browser, origin);
        const { enqueue, consume, create, elsewhere } = await inPage(page, "errors", name, server.url);
        assert.deepEqual([enqueue.code, enqueue.reason], ["NotFound", "QUEUE_NOT_FOUND"]);
        assert.match(enqueue.message, /^queue "a: größer" does not exist; create it/);
        assert.deepEqual([consume.code, consume.reason], ["NotFound", "QUEUE_NOT_FOUND"]);
        assert.deepEqual([create.code, create.reason, create.field], ["InvalidArgument", "INVALID_QUEUE_NAME", "name"]);
        assert.deepEqual([elsewhere.code, elsewhere.reason], ["Unimplemented", "NOT_IMPLEMENTED"]);
        await page.close();
      });

      test("gives back what it holds when its page is closed", async () => {
        await server.ok("FilaAdmin/CreateQueue", { name: "held" });
        await server.ok("FilaService/Enqueue", { queue: "held" });
        for (const attempts of [0, 1]) {
          const page = await openPage(browser, origin);
          assert.equal(await inPage(page, "hold", name, server.url, "held"), attempts);
          await page.close();
        }
      });
    });

    describe(`over ${name}, from an origin that is not allowed`, () => {
      for (const [allowed, env] of [
        ["no origin", {}],
        ["another one", { FILA_SERVER_CORS_ORIGINS: "https://app.example.com" }],
      ] as const) {
        test(`is refused when the broker allows ${allowed}, and nothing happens`, async (t) => {
          const server = await ServerProcess.start(t, { env });
          const page = await openPage(browser, origin);
          const failure = await inPage(page, "createQueue", name, server.url, "never");
          assert.match(failure.message, /Failed to fetch/);
          assert.deepEqual((await server.ok("FilaAdmin/ListQueues", {}))["queues"] ?? [], []);
          await page.close();
        });
      }
    });
  }
});
