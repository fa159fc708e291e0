import { testCancels } from "../support/cancel-matrix.ts";

testCancels("polite");
