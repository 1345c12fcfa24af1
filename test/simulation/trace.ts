// What happened in a run, boiled down to 64 bits: two runs of one seed must agree in every step.
export class Trace {
  #high = 0x811c9dc5;
  #low = 0x1234567;

  /** An integer up to 2^53. */
  add(value: number): void {
    this.#low = Math.imul(this.#low ^ (value | 0), 0x01000193) + (this.#high >>> 13);
    this.#high = Math.imul(this.#high ^ Math.floor(value / 0x1_0000_0000) ^ this.#low, 0x85ebca6b);
  }

  addText(text: string): void {
    for (let at = 0; at < text.length; at += 1) this.add(text.charCodeAt(at));
  }

  get digest(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#high) + hex(this.#low);
  }
}
