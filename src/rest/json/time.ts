import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";

/** RFC 3339 with microseconds and an offset, as Python writes it and the SDKs have always got it. */
export const timeText = (time: Timestamp): string => dateText(new Date(timestampMs(time)));

export const dateText = (date: Date): string => `${date.toISOString().slice(0, -1)}000+00:00`;

/** The latest of the times that are set. */
export function latestOf(...times: readonly (Timestamp | undefined)[]): Timestamp | undefined {
  const set = times.filter((time) => time !== undefined);
  return set.length === 0 ? undefined : set.reduce((a, b) => (timestampMs(a) >= timestampMs(b) ? a : b));
}
