// The few things of a shell that documented examples use, for commands that run inside this process.
import type { Ended } from "./fila-command.ts";

type Run = (args: readonly string[]) => Promise<Ended>;

const command = String.raw`fila(?: +(?:'[^']*'|"\$\w+"|[\w./:=@,+-])+)+`;
const line = new RegExp(
  String.raw`^(?:(${command})|(\w+)=\$\((${command})\))( > /dev/null)?( \|\| true| \|\| echo "exit status \$\?")?$`,
);

/**
 * What the lines print, stdout and stderr; undefined: they need a real shell. A line is `fila` with words, '...' and "$name"; `name=$(fila ...)`; with
 * `> /dev/null`, `|| true` or `|| echo "exit status $?"` behind it. Quoted text may go over lines. Throws when a line fails.
 */
export async function runPlainly(code: string, run: Run): Promise<string | undefined> {
  const lines = wholeLines(code).map((text) => line.exec(text));
  if (lines.includes(null)) return undefined;
  const variables = new Map<string, string>();
  let printed = "";
  for (const found of lines) {
    const [text, plain, name, substituted, silent, otherwise] = found!;
    const { status, stdout, stderr } = await run(wordsOf((plain ?? substituted)!, variables));
    if (status !== 0 && otherwise === undefined) throw new Error(`${text} ended with ${status}: ${stdout}${stderr}`);
    if (name !== undefined) variables.set(name, stdout.trimEnd());
    printed += (silent === undefined && name === undefined ? stdout : "") + stderr;
    if (status !== 0 && otherwise?.includes("echo")) printed += `exit status ${status}\n`;
  }
  return printed;
}

/** Joins lines between which a quote is open. */
function wholeLines(code: string): string[] {
  const whole: string[] = [];
  for (const text of code.trim().split("\n")) {
    const open = ((whole.at(-1) ?? "").split("'").length - 1) % 2 === 1;
    if (open) whole.push(`${whole.pop()}\n${text}`);
    else whole.push(text);
  }
  return whole;
}

function wordsOf(text: string, variables: ReadonlyMap<string, string>): string[] {
  const words = text.match(/(?:'[^']*'|"[^"]*"|[^ ])+/g) ?? [];
  return words
    .slice(1)
    .map((word) =>
      word.replace(/'([^']*)'|"\$(\w+)"/g, (_, quoted?: string, name?: string) => quoted ?? variables.get(name!) ?? ""),
    );
}
