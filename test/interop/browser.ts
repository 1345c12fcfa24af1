// A real browser on a page of its own origin, beside the broker.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { type Browser, type Page, chromium } from "playwright-core";
import type { Scope } from "../e2e/server-process.ts";
import type { Scenarios } from "./browser/page.ts";

const program = process.env["FILA_INTEROP_CHROMIUM"] ?? "/usr/bin/chromium";
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Headless, with a new profile that is removed at the end. */
export async function startBrowser(scope: Scope): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: program, headless: true, args: flags });
  scope.after(() => browser.close());
  return browser;
}

/** A page that only runs a script, in an origin of its own. */
export class PageServer {
  readonly origin: string;
  /** What it runs, ready for a browser. */
  #script = "";

  private constructor(origin: string) {
    this.origin = origin;
  }

  static async start(scope: Scope): Promise<PageServer> {
    let script = (): string => "";
    const server = createServer((request, response) => {
      const [type, body] =
        request.url === "/page.js"
          ? ["text/javascript", script()]
          : ["text/html", '<!doctype html><title>page</title><script type="module" src="/page.js"></script>'];
      response.setHeader("content-type", `${type}; charset=utf-8`);
      response.end(body);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    scope.after(async () => {
      server.closeAllConnections();
      server.close();
    });
    const pages = new PageServer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    script = () => pages.#script;
    return pages;
  }

  /** Serves TypeScript from now on, bundled with what it imports. */
  async serve(contents: string): Promise<void> {
    const { outputFiles } = await build({
      stdin: { contents, loader: "ts", resolveDir: import.meta.dirname },
      bundle: true,
      write: false,
      platform: "browser",
      format: "esm",
      target: "es2024",
      conditions: ["@fila/source"],
    });
    this.#script = outputFiles[0]!.text;
  }
}

/** A new tab with the scenarios loaded. */
export async function openPage(browser: Browser, origin: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(origin);
  await page.waitForFunction(() => "scenarios" in globalThis);
  return page;
}

/** Runs a scenario in the page. */
export async function inPage<Name extends keyof Scenarios>(
  page: Page,
  name: Name,
  ...args: Parameters<Scenarios[Name]>
): Promise<Awaited<ReturnType<Scenarios[Name]>>> {
  const result = await page.evaluate(
    ([called, values]) => {
      const { scenarios } = globalThis as unknown as { scenarios: Record<string, (...of: unknown[]) => unknown> };
      return scenarios[called]?.(...values);
    },
    [name as string, args as unknown[]] as const,
  );
  assert.notEqual(result, undefined);
  return result as Awaited<ReturnType<Scenarios[Name]>>;
}
