// node test/side-by-side.ts SCRIPT…: runs scripts of package.json at the same time. What the first says is shown as it comes,
// what the others say when they end. Fails when one of them does,
// or there are none.
import { spawn } from "node:child_process";
import { once } from "node:events";

async function run(script: string, shown: boolean): Promise<boolean> {
  const child = spawn("npm", ["run", "--silent", script], { stdio: ["ignore", shown ? "inherit" : "pipe", "pipe"] });
  const said: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => said.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => (shown ? process.stderr.write(chunk) : said.push(chunk)));
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  process.stdout.write(Buffer.concat(said));
  if (code !== 0) process.stderr.write(`npm run ${script} failed (${signal ?? code})\n`);
  return code === 0;
}

const scripts = process.argv.slice(2);
if (scripts.length === 0) process.stderr.write("name the scripts to run\n");
const passed = await Promise.all(scripts.map((script, at) => run(script, at === 0)));
process.exitCode = passed.length > 0 && passed.every(Boolean) ? 0 : 1;
