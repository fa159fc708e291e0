import { describe } from "vitest";
import { startAppTarget } from "../support/app-target.ts";
import { describeBufCurl } from "./buf-curl.ts";
import { describeNodeClients } from "./node-clients.ts";

describe("libraries in Node, against the whole server", () => describeNodeClients(startAppTarget));
describe("buf curl, against the whole server", () => describeBufCurl(startAppTarget));
