// What a process costs, as Linux counts it.
import { readFileSync } from "node:fs";

/** Linux reports CPU time in ticks of 10 ms on every architecture that Node runs on. */
const tickUs = 10_000;

/** CPU time of all threads of a process so far, user and system, in microseconds. */
export function cpuTimeUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The name of the program, in parentheses, may hold anything; fields are counted behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickUs;
}

/** CPU time of the main thread of a process so far, in microseconds. */
export function mainThreadCpuUs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "latin1").split(" ")[0]) / 1_000;
}

/** How long the main thread of a process could run and had no processor so far, milliseconds. */
export function waitedForProcessorMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ")[1]) / 1e6;
}

/** Memory of a process that is in RAM, in bytes. */
export function residentBytes(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  if (found === null) throw new Error(`process ${pid} has no VmRSS`);
  return Number(found[1]) * 1024;
}

/** Monotonic, and the same clock in every process of this machine: CPU profiles use it too. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Time goes by. */
export function passing(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** CPU time of all threads of a process, in per cent of a core, while `until` goes on. */
export async function cpuPercentWhile(pid: number, until: Promise<unknown>): Promise<number> {
  const [cpu, us] = [cpuTimeUs(pid), nowUs()];
  await until;
  return (100 * (cpuTimeUs(pid) - cpu)) / (nowUs() - us);
}
