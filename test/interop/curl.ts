// The program curl, one run per call.
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Scope } from "../e2e/server-process.ts";

export interface CurlAnswer {
  readonly status: number;
  /** "1.1" or "2" */
  readonly httpVersion: string;
  /** Connections that it had to open. */
  readonly connects: number;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly body: string;
}

/** Marks where the bodies end: written by curl after each answer, and in no body of Fila's. */
const mark = "\u0001";
const report = `${mark}{"status":%{http_code},"httpVersion":"%{http_version}","connects":%{num_connects},"headers":%{header_json}}${mark}`;

const always = ["-sS", "--max-time", "60", "-w", report];

/** One more request of the same run. */
export function again(args: readonly string[]): string[] {
  return ["--next", ...always, ...args];
}

/** Runs curl to its end; one answer for each address among the arguments. It must succeed, whatever the status. */
export async function curlAll(args: readonly string[], input?: Readable | string): Promise<CurlAnswer[]> {
  const child = spawn("curl", [...always, ...args]);
  if (typeof input === "string" || input === undefined) child.stdin.end(input);
  else input.pipe(child.stdin);
  // curl stops reading when the broker has refused what it sends.
  child.stdin.on("error", () => undefined);
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  assert.equal(code, 0, `curl ${args.join(" ")}: ${errors}`);
  const parts = out.split(mark);
  const answers: CurlAnswer[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    answers.push({ ...(JSON.parse(parts[at + 1]!) as Omit<CurlAnswer, "body">), body: parts[at]! });
  }
  return answers;
}

export async function curl(args: readonly string[], input?: Readable | string): Promise<CurlAnswer> {
  const [answer, ...more] = await curlAll(args, input);
  assert.ok(answer !== undefined && more.length === 0);
  return answer;
}

/** curl as the client of a stream in the Connect protocol: sends one request, and its output is read as it comes. */
export class CurlStream {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #errors: Promise<string>;
  readonly #ended: Promise<unknown>;
  #rest = Buffer.alloc(0);

  constructor(scope: Scope, args: readonly string[], request: object) {
    this.#child = spawn("curl", [
      "-sS",
      "-N",
      "-H",
      "content-type: application/connect+json",
      ...args,
      "--data-binary",
      "@-",
    ]);
    this.#chunks = this.#child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#errors = text(this.#child.stderr);
    this.#ended = once(this.#child, "close");
    scope.after(() => this.kill());
    this.#child.stdin.end(envelope(JSON.stringify(request)));
  }

  /** The next message of the stream. */
  async next(): Promise<{ flags: number; json: Readonly<Record<string, unknown>> }> {
    while (this.#rest.length < 5 || this.#rest.length < 5 + this.#rest.readUInt32BE(1)) {
      const { value, done } = await this.#chunks.next();
      if (done === true) assert.fail(`the stream ended: ${this.#rest.toString()} ${await this.#errors}`);
      this.#rest = Buffer.concat([this.#rest, value]);
    }
    const end = 5 + this.#rest.readUInt32BE(1);
    const json = JSON.parse(this.#rest.subarray(5, end).toString()) as Record<string, unknown>;
    const flags = this.#rest[0]!;
    this.#rest = this.#rest.subarray(end);
    return { flags, json };
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

/** One message in the form of the Connect protocol's streams: flags, length, JSON. */
export function envelope(json: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(Buffer.byteLength(json), 1);
  return Buffer.concat([head, Buffer.from(json)]);
}
