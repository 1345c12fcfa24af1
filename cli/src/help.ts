// Help that starts with examples: most readers look for a line to copy.
import { CommandHelp, Help } from "@oclif/core";
import { stdio } from "./stdio.ts";

class ExamplesFirst extends CommandHelp {
  protected override sections(): ReturnType<CommandHelp["sections"]> {
    const sections = super.sections();
    const isExamples = ({ header }: { header: string }): boolean => header.startsWith("EXAMPLE");
    return [...sections.filter(isExamples), ...sections.filter((section) => !isExamples(section))];
  }
}

export default class FilaHelp extends Help {
  protected override CommandHelpClass = ExamplesFirst;

  protected override log(...lines: string[]): void {
    stdio().stdout.write(`${lines.join("\n")}\n`);
  }

  override formatRoot(): string {
    return `${firstSteps}\n\n${super.formatRoot()}`;
  }
}

const firstSteps = `EXAMPLES
  $ fila server
  $ fila queue create emails
  $ fila enqueue emails 'hello' --key tenant-42
  $ fila consume emails`;
