/**
 * What Reins and the guardian of its embedded database say to each other over their IPC channel. Types only: the
 * guardian must stay light, so nothing here may import anything.
 */

/** Stands in an engine's arguments for the port; the guardian fills it in, with the first port again on a restart. */
export type PortPlaceholder = "{port}";

/** The first message from Reins: the engine to start and how to treat it. */
export interface StartEngine {
  readonly type: "start";
  readonly command: string;
  /** One argument is the PortPlaceholder. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** 0 lets the engine choose one. */
  readonly port: number;
  /** Source of a regular expression for the line that says that the engine serves; its group 1, if any, is the port. */
  readonly readyPattern: string;
  readonly logFile: string;
  /** How long an engine may take until it serves. */
  readonly startLimitMs: number;
  /** How long it may take to end by itself before it is killed, when Reins asks for it. */
  readonly stopLimitMs: number;
  /** The same, when Reins has vanished: shorter, since the next start is waiting for it. */
  readonly orphanStopLimitMs: number;
  /** So many ends within the window, and the engine is given up. */
  readonly failureLimit: number;
  readonly failureWindowMs: number;
}

export type ToGuardian = StartEngine | { readonly type: "stop" };

export type FromGuardian =
  /** The engine serves; sent after the first start and after every restart. */
  | { readonly type: "ready"; readonly port: number; readonly enginePid: number }
  /** The engine ended by itself and is started again after a pause. */
  | { readonly type: "lost"; readonly reason: string }
  /** The engine never served, or failed too often; the guardian ends. */
  | { readonly type: "failed"; readonly reason: string }
  /** The engine was stopped as asked; the guardian ends. */
  | { readonly type: "stopped"; readonly killed: boolean };
