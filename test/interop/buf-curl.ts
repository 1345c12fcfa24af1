// The program `buf curl`: single calls, and streams that are read and fed while they are open.
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { type Scope, root } from "../e2e/server-process.ts";

type Answer = Readonly<Record<string, unknown>>;

export class BufCurl {
  readonly #url: string;
  readonly #options: readonly string[];

  constructor(url: string, protocol: "grpc" | "grpcweb" | "connect") {
    this.#url = url;
    this.#options = ["curl", "--protocol", protocol, "--http2-prior-knowledge"];
  }

  /** Runs it to its end. `path` is "service/method", or "" for the base address. */
  async run(path: string, args: readonly string[]): Promise<{ code: number; lines: string[]; errors: string }> {
    const child = this.#spawn(path, args);
    child.stdin.end();
    const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    return { code: code as number, lines: out.trim().split("\n"), errors };
  }

  /** A unary call of package fila.v1 that must succeed. */
  async call(procedure: string, request: object): Promise<Answer> {
    const { code, lines, errors } = await this.run(`fila.v1.${procedure}`, ["-d", JSON.stringify(request)]);
    assert.equal(code, 0, errors);
    return JSON.parse(lines.join("\n")) as Answer;
  }

  /** A streaming call of package fila.v1, its requests read from standard input. */
  open(scope: Scope, procedure: string, request: object): BufCurlStream {
    const stream = new BufCurlStream(this.#spawn(`fila.v1.${procedure}`, ["-d", "@-"]));
    scope.after(() => stream.kill());
    stream.write(request);
    return stream;
  }

  #spawn(path: string, args: readonly string[]): ChildProcessByStdio<Writable, Readable, Readable> {
    const url = path === "" ? this.#url : `${this.#url}/${path}`;
    // A group of its own: npm's `buf` is a script that starts the program, and signals must reach that.
    return spawn(join(root, "node_modules/.bin/buf"), [...this.#options, ...args, url], { cwd: root, detached: true });
  }
}

export class BufCurlStream {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #errors: Promise<string>;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#errors = text(child.stderr);
    this.ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  }

  /** Sends one more request. */
  write(request: object): void {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
  }

  /** Sends no more requests. */
  end(): void {
    this.#child.stdin.end();
  }

  /** The next response that pleases. */
  async next(pleases: (answer: Answer) => boolean = () => true): Promise<Answer> {
    for (;;) {
      const answer = await this.#read();
      if (pleases(answer)) return answer;
    }
  }

  /** As Ctrl-C. */
  async interrupt(): Promise<void> {
    await this.#signal("SIGINT");
  }

  async kill(): Promise<void> {
    await this.#signal("SIGKILL");
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) process.kill(-this.#child.pid!, signal);
    await this.ended;
  }

  /** Responses come indented: each ends with a brace at the start of a line. */
  async #read(): Promise<Answer> {
    let json = "";
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) assert.fail(`the stream ended: ${await this.#errors}`);
      json += value;
      if (value === "}" || value === "{}") return JSON.parse(json) as Answer;
    }
  }
}
