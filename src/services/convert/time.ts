import { type Duration, durationMs, type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";

export const msOf = (duration: Duration | undefined): number | undefined => duration && durationMs(duration);

export const toTime = (date: Date | undefined): Timestamp | undefined => date && timestampFromDate(date);
