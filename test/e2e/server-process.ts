// The real server as a process of its own: started, killed, restarted and always cleaned up.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import { type Transport, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { temporaryDirectory } from "../temporary.ts";

export const root = join(import.meta.dirname, "../..");
const bin = join(root, "server/bin/fila-server");

/** Where cleaning up is registered: node:test's context of a test, or a stack of a program's own. */
export interface Scope {
  after(clean: () => Promise<void>): void;
}

export interface ServerOptions {
  /** Working directory; default: a new one, removed at the end. */
  readonly cwd?: string;
  /** On top of what every run gets; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Text of fila.toml in the working directory. */
  readonly toml?: string;
  readonly args?: readonly string[];
  /** The process leads a group of its own, so that a test can see whether anything of it is left. */
  readonly ownGroup?: boolean;
}

/** One run of the server's bin, from spawn to its end. */
export class Run {
  readonly child: ChildProcess;
  /** Exit code, or the signal that ended it; its output is complete then. */
  readonly ended: Promise<number | NodeJS.Signals>;
  output = "";
  errors = "";
  over = false;

  constructor(cwd: string, { env = {}, args = [], ownGroup = false }: ServerOptions) {
    const child = spawn(bin, args, {
      cwd,
      env: { PATH: process.env["PATH"] ?? "", FILA_SERVER_LISTEN_ADDR: "127.0.0.1:0", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: ownGroup,
    });
    this.child = child;
    child.stdout.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (this.errors += chunk.toString()));
    this.ended = once(child, "close").then(([code, signal]) => {
      this.over = true;
      return (code ?? signal) as number | NodeJS.Signals;
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Resolves when standard output or the log matches. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.output) && !pattern.test(this.errors)) {
      await Promise.race([
        once(this.child.stdout!, "data"),
        once(this.child.stderr!, "data"),
        this.ended.then((code) => assert.fail(`the server ended with ${code}:\n${this.errors}`)),
      ]);
    }
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }
}

/** Starts the bin and resolves with its end; for starts that must fail. */
export async function runToEnd(scope: Scope, options: ServerOptions): Promise<Run & { code: number | string }> {
  const cwd = options.cwd ?? temporaryDirectory("e2e");
  if (options.toml !== undefined) writeFileSync(join(cwd, "fila.toml"), options.toml);
  const run = new Run(cwd, options);
  scope.after(() => run.kill());
  return Object.assign(run, { code: await run.ended });
}

/** A server that serves; over restarts it keeps its directory and its port. */
export class ServerProcess {
  readonly directory: string;
  readonly #options: ServerOptions;
  /** The current run. */
  run: Run;
  #url = "";

  private constructor(directory: string, options: ServerOptions) {
    this.directory = directory;
    this.#options = options;
    this.run = this.#spawn();
  }

  static async start(scope: Scope, options: ServerOptions = {}): Promise<ServerProcess> {
    const directory = options.cwd ?? temporaryDirectory("e2e");
    if (options.toml !== undefined) writeFileSync(join(directory, "fila.toml"), options.toml);
    const server = new ServerProcess(directory, options);
    scope.after(() => server.run.kill());
    await server.#ready();
    return server;
  }

  /** "http://127.0.0.1:port" */
  get url(): string {
    return this.#url;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  get pid(): number {
    return this.run.pid;
  }

  /** Starts it again after `kill` or `stop`, at the same address. */
  async restart(): Promise<void> {
    this.spawnAgain();
    await this.#ready();
  }

  /** The first half of `restart`: does not wait until it serves. */
  spawnAgain(): void {
    assert.ok(this.run.over, "the run before has ended");
    this.run = this.#spawn();
  }

  /** SIGKILL, as a crash; resolves when the process is gone. */
  kill(): Promise<void> {
    return this.run.kill();
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | NodeJS.Signals> {
    this.run.child.kill("SIGTERM");
    return this.run.ended;
  }

  /** Clients of the generated code over gRPC and over Connect, both by HTTP/2. A new connection with each call. */
  clients(protocol: "grpc" | "connect") {
    const transport = this.transport(protocol);
    return { service: createClient(FilaService, transport), admin: createClient(FilaAdmin, transport) };
  }

  transport(protocol: "grpc" | "connect"): Transport {
    const options = { baseUrl: this.#url, httpVersion: "2" as const, acceptCompression: [] };
    return protocol === "grpc" ? createGrpcTransport(options) : createConnectTransport(options);
  }

  /** A plain HTTP/1.1 call with JSON, as curl makes it. */
  async json(procedure: string, body: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
    return this.post(procedure, JSON.stringify(body));
  }

  async post(procedure: string, text: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${this.#url}/fila.v1.${procedure}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: text,
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  /** `json` that must succeed. */
  async ok(procedure: string, body: unknown): Promise<Record<string, unknown>> {
    const answer = await this.json(procedure, body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  }

  async stats(queue: string): Promise<{ depth: number; inFlight: number; activeConsumers: number }> {
    const { depth = 0, inFlight = 0, activeConsumers = 0 } = await this.ok("FilaAdmin/GetStats", { queue });
    return { depth: Number(depth), inFlight: Number(inFlight), activeConsumers: Number(activeConsumers) };
  }

  /** Asks the server again and again until its answer pleases. */
  async until<T>(ask: () => Promise<T>, pleases: (answer: T) => boolean): Promise<T> {
    for (;;) {
      const answer = await ask();
      if (pleases(answer)) return answer;
    }
  }

  #spawn(): Run {
    const address = this.#url === "" ? {} : { FILA_SERVER_LISTEN_ADDR: `127.0.0.1:${this.port}` };
    const env = { FILA_DATA_DIR: join(this.directory, "data"), ...this.#options.env, ...address };
    return new Run(this.directory, { ...this.#options, env });
  }

  async #ready(): Promise<void> {
    await this.run.says(/curl \S+Enqueue .*\n/);
    this.#url = /http:\/\/127\.0\.0\.1:\d+/.exec(this.run.output)![0];
    await this.ok("FilaAdmin/ListQueues", {});
  }
}
