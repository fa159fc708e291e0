import { type Duration, durationMs, type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";

export const msOf = (duration: Duration | undefined): number | undefined => duration && durationMs(duration);

/**
 * The first moment of the database's clock, which counts milliseconds, that is not before the time. Invalid for what no
 * timestamp may hold.
 */
export function fromTime({ seconds, nanos }: Timestamp): Date {
  const isLegal = seconds >= -62_135_596_800n && seconds < 253_402_300_800n && nanos >= 0 && nanos < 1_000_000_000;
  return new Date(isLegal ? Number(seconds) * 1000 + Math.ceil(nanos / 1_000_000) : Number.NaN);
}

export const toTime = (date: Date | undefined): Timestamp | undefined => date && timestampFromDate(date);
