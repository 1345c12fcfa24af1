/** Holds back what the client sends. */
export interface StreamIntake {
  pause(): void;
  resume(): void;
}
