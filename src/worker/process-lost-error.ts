/** The process ended before it answered; something else in it may have been the reason. */
export class ProcessLostError extends Error {
  override readonly name = "ProcessLostError";
  /** The server has ended it, since something took too long. */
  readonly wasSlow: boolean;

  constructor(sentence: string, wasSlow = false) {
    super(sentence);
    this.wasSlow = wasSlow;
  }
}
