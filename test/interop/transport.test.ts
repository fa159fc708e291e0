import { describe } from "vitest";
import { describeBufCurl } from "../support/buf-curl.ts";
import { startFakeTarget } from "../support/net-fake-target.ts";
import { describeNodeClients } from "../support/node-clients.ts";

describe("libraries in Node", () => describeNodeClients(startFakeTarget));
describe("buf curl", () => describeBufCurl(startFakeTarget));
